package cli

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/plumbline/plumbline/internal/simulate"
)

var smallSimulation = []string{
	"simulate", "quota", "--users=50", "--teams=3", "--rate=30", "--duration=20s", "--replicas=3", "--shards=2", "--seed=4",
}

func TestSimulateQuota(t *testing.T) {
	table, _, code := plumbline(t, nil, smallSimulation...)
	if code != exitDone || !strings.Contains(table, "overshoot at most") || !strings.Contains(table, "escrow") {
		t.Fatalf("%d: %s", code, table)
	}
	first, _, code := plumbline(t, nil, append(smallSimulation, "--output=json")...)
	again, _, _ := plumbline(t, nil, append(smallSimulation, "--output=json")...)
	if code != exitDone || first != again {
		t.Errorf("%d: the same seed gave another report", code)
	}
	var report simulate.Report
	if err := json.Unmarshal([]byte(first), &report); err != nil {
		t.Fatal(err)
	}
	for _, f := range report.Models {
		if f.Exact && (f.Overshoot != 0 || f.Pending != 0) {
			t.Errorf("%+v", f)
		}
	}
}

func TestSimulateQuotaTakesLimits(t *testing.T) {
	file := filepath.Join(t.TempDir(), "limits.yaml")
	write := func(text string) {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("limits:\n  - {id: few, scope: everyone, dimension: requests, window: day, value: 10}\n")
	out, talk, code := plumbline(t, nil, append(smallSimulation, "--limits="+file, "--output=json")...)
	var report simulate.Report
	if err := json.Unmarshal([]byte(out), &report); err != nil {
		t.Fatalf("%d %v: %s", code, err, talk)
	}
	if f := report.Models[1]; code != exitDone || f.Admitted == 0 || f.Admitted > 20 { // ten a day, on two days
		t.Errorf("%d: %+v", code, f)
	}
	write("teams: []\n")
	if _, talk, code := plumbline(t, nil, append(smallSimulation, "--limits="+file)...); code != exitUsage || !strings.Contains(talk, "no limits") {
		t.Errorf("%d: %s", code, talk)
	}
	if _, talk, code := plumbline(t, nil, append(smallSimulation, "--loss=2")...); code != exitUsage || !strings.Contains(talk, "loss") {
		t.Errorf("%d: %s", code, talk)
	}
}

// The defaults that help shows are those of the design's load.
func TestSimulateQuotaDefaults(t *testing.T) {
	var c commands
	parser, err := newParser(&c, &strings.Builder{}, &strings.Builder{}, func(int) {})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := parser.Parse([]string{"simulate", "quota"}); err != nil {
		t.Fatal(err)
	}
	o, err := c.Simul.Quota.options()
	if diff := cmp.Diff(simulate.Defaults(), o); err != nil || diff != "" {
		t.Errorf("%v (-simulate +command)\n%s", err, diff)
	}
}
