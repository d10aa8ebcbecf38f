package pgproc

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// pooler is a PgBouncer in transaction mode. Its few connections to the server serve all clients in turn, a transaction each:
// what somebody leaves in a session, another finds.
const pooler = `
[databases]
* = host=%[1]s port=5432 user=postgres
[pgbouncer]
listen_addr =
listen_port = 6432
unix_socket_dir = %[2]s
auth_type = any
pool_mode = transaction
default_pool_size = %[3]d
max_client_conn = 500
`

// keepPooler is the shell program that runs the pooler until its standard input ends.
const keepPooler = `"$1" -q "$2/pgbouncer.ini" >>"$2/log" 2>&1 </dev/null &
cat >/dev/null
kill -INT $!
wait $!`

// Pooled gives the URL of the database through a PgBouncer of the test's own, which has so many connections to the server.
func (d *Database) Pooled(t testing.TB, connections int) string {
	t.Helper()
	binary, err := findPooler()
	if err != nil {
		t.Fatalf("pgbouncer: %v", err)
	}
	h := d.server.home
	dir, err := os.MkdirTemp(h.dir, "pool-")
	if err != nil {
		t.Fatal(err)
	}
	ini := filepath.Join(dir, "pgbouncer.ini")
	err = errors.Join(os.WriteFile(ini, fmt.Appendf(nil, pooler, d.server.dir, dir, connections), 0o600), h.own(ini), h.own(dir))
	if err != nil {
		t.Fatal(err)
	}
	cmd := h.command("/bin/sh", "-c", keepPooler, "keep", binary, dir)
	lifeline, err := cmd.StdinPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatalf("pgbouncer: %v", err)
	}
	t.Cleanup(func() {
		_ = lifeline.Close()
		_ = cmd.Wait()
		_ = os.RemoveAll(dir)
	})
	u := url.URL{Scheme: "postgres", User: url.User("postgres"), Path: "/" + d.Name, RawQuery: url.Values{"host": {dir}, "port": {"6432"}}.Encode()}
	if err := answers(u.String()); err != nil {
		said, _ := os.ReadFile(filepath.Join(dir, "log"))
		t.Fatalf("pgbouncer: %v\n%s", err, said)
	}
	return u.String()
}

func findPooler() (string, error) {
	for _, name := range []string{"pgbouncer", "/usr/sbin/pgbouncer"} {
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	return "", errors.New("it is missing: run `make test`, which installs it, or tools/apt-install pgbouncer")
}

// answers returns once a server at a URL does.
func answers(url string) (err error) {
	for end := time.Now().Add(startLimit); time.Now().Before(end); <-time.After(pollPause) {
		var c *pgx.Conn
		if c, err = pgx.Connect(context.Background(), url); err == nil {
			return c.Close(context.Background())
		}
	}
	return fmt.Errorf("it does not answer: %w", err)
}
