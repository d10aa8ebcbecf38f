package main

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/plumbline/plumbline/internal/testkit"
)

// TestTrainingIsRepeatable trains again and compares with what is committed, byte for byte: the shipped weights are what
// this code makes of the named data, and the figures are theirs.
func TestTrainingIsRepeatable(t *testing.T) {
	if testing.Short() {
		t.Skip("trains for about 15 s")
	}
	if runtime.GOARCH != "amd64" {
		t.Skip("the last bits of math.Exp differ between architectures; the weights are made on amd64")
	}
	data, root, dir := testkit.SharedData(t), testkit.Root(t), t.TempDir()
	o := options{data: data, intent: filepath.Join(dir, "intent"), report: filepath.Join(dir, "report")}
	if err := run(io.Discard, o); err != nil {
		t.Fatal(err)
	}
	for made, committed := range map[string]string{
		o.intent: "internal/intent/weights.bin",
		o.report: "internal/intent/train/report.txt",
	} {
		got, err := os.ReadFile(made)
		if err != nil {
			t.Fatal(err)
		}
		want, err := os.ReadFile(filepath.Join(root, committed))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("training gives other bytes than %s: run make models and commit what changes", committed)
		}
	}
}

func TestAUROC(t *testing.T) {
	for _, c := range []struct {
		high, low []float64
		want      float64
	}{
		{[]float64{3, 4}, []float64{1, 2}, 1},
		{[]float64{1, 2}, []float64{3, 4}, 0},
		{[]float64{1, 1}, []float64{1}, 0.5},
		{[]float64{2, 4}, []float64{1, 3}, 0.75},
	} {
		if got := auroc(c.high, c.low); got != c.want {
			t.Errorf("auroc(%v, %v) = %v, want %v", c.high, c.low, got, c.want)
		}
	}
}
