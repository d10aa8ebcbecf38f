package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/plumbline/plumbline/internal/config"
)

// objects give each exchange what a deployment's would have: a person with three tasks, and limits of every kind, wide
// enough never to refuse.
const objects = `teams: [{id: support}]
users: [{id: ann, team: support}]
apps: [{id: helpdesk, team: support}]
tasks:
  - id: billing
    title: Resolve billing disputes
    description: Answer customers who question a charge on their bill and arrange refunds.
    topics: [customer disputes a charge, refund for a wrong charge, explain a fee on a bill, write a polite reply to a customer]
    users: [ann]
  - id: reports
    title: Report on revenue
    description: Write SQL queries and short reports on revenue and forecasts.
    topics: [quarterly revenue report, SQL query that joins tables, forecast by region, explain a slow query]
    users: [ann]
  - id: incidents
    title: Review incidents
    description: Review incidents, alerts and dashboards, and plan migrations and rollbacks.
    topics: [cause of an incident, latency and error metrics, alert on a dashboard, rollback of a migration]
    teams: [support]
limits:
  - {id: everyone-tokens, scope: everyone, dimension: tokens, window: day, value: 9000000000000}
  - {id: team-cost, scope: team, subject: support, dimension: cost, window: month, value: 9000000000000}
  - {id: user-requests, scope: user, dimension: requests, window: minute, value: 9000000000000}
  - {id: user-output, scope: user, subject: ann, dimension: output_tokens, window: hour, value: 9000000000000}
  - {id: app-at-once, scope: app, subject: helpdesk, dimension: concurrency, window: none, value: 100000}
`

// rules let every prompt pass, after all of them were asked.
const rules = `version: 1
mode: enforce
models: {allow: [gpt-4o-mini]}
deviation: {warn: 0.99, block: never}
`

// startPlumbline gives the start of a row with the real binary and everything on.
func (b *bench) startPlumbline(durability config.Durability) func(context.Context, string) (*sidecar, error) {
	return func(ctx context.Context, dir string) (*sidecar, error) { return b.startWith(ctx, dir, durability, "") }
}

// startWith starts the binary with more settings.
func (b *bench) startWith(ctx context.Context, dir string, durability config.Durability, more string) (*sidecar, error) {
	data := filepath.Join(dir, "data")
	settings := fmt.Sprintf("data_dir: %s\npolicy: {file: %s}\nops: {listen: \"127.0.0.1:0\", pprof: true}\naudit: {durability: %s}\n"+
		"extproc: {message_timeout: %s}\n", data, filepath.Join(dir, "policy.yaml"), durability, messageTimeout)
	for name, content := range map[string]string{"config.yaml": settings + more, "policy.yaml": rules, "objects.yaml": objects} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			return nil, err
		}
	}
	if err := os.Mkdir(data, 0o700); err != nil {
		return nil, err
	}
	if _, err := b.plumblineRun(ctx, dir, "apply", "-f", filepath.Join(dir, "objects.yaml")); err != nil {
		return nil, err
	}
	key, err := b.plumblineRun(ctx, dir, "key", "create", "--app", "helpdesk", "--user", "ann")
	if err != nil {
		return nil, err
	}
	return b.servePlumbline(ctx, dir, "Bearer "+key)
}

// plumblineRun runs one command to its end and gives what it printed.
func (b *bench) plumblineRun(ctx context.Context, dir string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, b.plumbline, append([]string{"-c", filepath.Join(dir, "config.yaml")}, args...)...)
	var problems bytes.Buffer
	cmd.Stderr = &problems
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("plumbline %s: %w: %s", args[0], err, problems.Bytes())
	}
	return strings.TrimSpace(string(out)), nil
}

func (b *bench) servePlumbline(ctx context.Context, dir, authorization string) (*sidecar, error) {
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		return nil, err
	}
	defer log.Close()
	cmd := exec.Command(b.plumbline, "-c", filepath.Join(dir, "config.yaml"), "--set", "log.format=json", "serve") //nolint:noctx // Stop ends it
	p, err := startProcess(cmd, nil, log)
	if err != nil {
		return nil, err
	}
	socket := filepath.Join(dir, "data", "plumbline.sock")
	ops := ""
	err = await(ctx, p.done, func(context.Context) error {
		lines, err := os.ReadFile(log.Name())
		if err != nil {
			return err
		}
		ops, err = opsURL(lines)
		return err
	})
	logged := func() []byte {
		lines, _ := os.ReadFile(log.Name())
		return lines
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("starting plumbline: %w\n%s", err, logged()), p.stop())
	}
	stop := func() error {
		if err := p.stop(); err != nil {
			return fmt.Errorf("stopping plumbline: %w\n%s", err, logged())
		}
		return nil
	}
	return &sidecar{
		Socket: socket, Pid: p.cmd.Process.Pid, Authorization: authorization, Stop: stop, ops: ops,
		Profile: func(ctx context.Context, seconds int) ([]byte, error) {
			return get(ctx, fmt.Sprintf("%s/debug/pprof/profile?seconds=%d", ops, seconds))
		},
	}, nil
}

func get(ctx context.Context, url string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s answered %s", url, res.Status)
	}
	return io.ReadAll(res.Body)
}
