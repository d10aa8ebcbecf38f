package gate_test

import (
	"bytes"
	"testing"

	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/gate"
	"github.com/plumbline/plumbline/internal/gate/gatetest"
)

// The operator's bound on bodies holds where the endpoint takes more: told before, and found out.
func TestMaxBody(t *testing.T) {
	w := gatetest.New(t, gatetest.Options{Change: func(o *gate.Options) { o.MaxBody = 64 }})
	told := chatHead()
	told.ContentLength = 65
	x, reply := w.Gate.Open(t.Context(), told)
	refusedWith(t, reply, 413, core.ReasonBodyTooLarge)
	x.Close(t.Context(), core.FinishComplete)

	x, reply = w.Gate.Open(t.Context(), chatHead())
	if reply != nil || x.BodyLimit() != 64 {
		t.Fatalf("refused with %v; the limit is %d", reply, x.BodyLimit())
	}
	_, reply = x.Admit(t.Context(), bytes.Repeat([]byte(" "), 65))
	refusedWith(t, reply, 413, core.ReasonBodyTooLarge)
	x.Close(t.Context(), core.FinishComplete)
}
