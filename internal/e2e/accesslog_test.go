package e2e

import (
	"bytes"
	"encoding/json"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/plumbline/plumbline/internal/core"
)

// The access log of Envoy names the exchange, for joining it with the audit.
func TestAccessLogNamesTheExchange(t *testing.T) {
	w := start(t, setup{})
	allowed := w.chat(chatBody("gpt-4o-mini", onTask, nil))
	refused := w.chat(chatBody("gpt-4o-mini", onTask, map[string]any{"no_such_field": 1}))
	w.records(allowed.Exchange)
	if err := w.envoy.Stop(); err != nil { // writes out the log
		t.Fatal(err)
	}
	log, err := os.ReadFile(w.envoy.AccessLog)
	if err != nil {
		t.Fatal(err)
	}
	named := map[string]core.Reason{}
	for d := json.NewDecoder(bytes.NewReader(log)); d.More(); {
		var line struct {
			Exchange string      `json:"plumbline_exchange"`
			Reason   core.Reason `json:"plumbline_reason"`
		}
		if err := d.Decode(&line); err != nil {
			t.Fatalf("%v in\n%s", err, log)
		}
		named[line.Exchange] = line.Reason
	}
	want := map[string]core.Reason{allowed.Exchange: core.ReasonNone, refused.Exchange: core.ReasonUnsupportedParameter}
	if diff := cmp.Diff(want, named); diff != "" {
		t.Errorf("exchanges in the access log (-want +got):\n%s\n%s", diff, log)
	}
}
