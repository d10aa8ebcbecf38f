package extproc_test

import (
	"strings"
	"testing"

	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/gate/gatetest"
	"github.com/plumbline/plumbline/internal/intent"
	"github.com/plumbline/plumbline/internal/quota"
	"github.com/plumbline/plumbline/internal/testkit/fakeenvoy"
)

// A client hangs up after each of the 200 chunks of a stream, in each way in which Envoy tells: it is charged what it got at
// least, what was held at most, and nothing stays held.
func TestHangUpAtEveryChunk(t *testing.T) {
	const chunks = 200
	long := strings.Replace(piece, " word", strings.Repeat(" word", 12), 1)
	for name, leave := range map[string]func(*fakeenvoy.Stream) error{"reset": (*fakeenvoy.Stream).Cancel, "EOF": (*fakeenvoy.Stream).HangUp} {
		t.Run(name, func(t *testing.T) {
			e := newEnv(t, fakeenvoy.Options{}, gatetest.Options{Limits: []quota.Limit{{
				ID: "out", Scope: quota.ScopeUser, Dimension: quota.DimensionOutputTokens, Window: quota.WindowMonth, Value: 1 << 40,
			}}})
			e.Classify = func(*intent.View) core.Intent { return core.Intent{} }
			for at := range chunks + 1 {
				before := e.Posted()
				s := e.open(t)
				must(t, s.RequestHeaders(head(), false))
				_, err := s.RequestBody([]byte(stream), true)
				must(t, err)
				must(t, s.ResponseHeaders([]fakeenvoy.Header{{":status", "200"}, {"content-type", "text/event-stream"}}, fakeenvoy.DetailsUpstream, false))
				for range at {
					_, err = s.ResponseBody([]byte(long), false)
					must(t, err)
				}
				_ = leave(s) // the error is what the handler returned
				e.quiet(t)
				records := e.Records()
				last := records[len(records)-1]
				charged := e.Posted().OutputTokens - before.OutputTokens
				if held := e.Held(last.Exchange); charged < int64(12*at) || charged > held.OutputTokens || last.Settled.Cost > held.Cost {
					t.Errorf("left after %d chunks: %d tokens are charged of %+v held", at, charged, held)
				}
			}
			if n := e.Ledger.Overruns(); n != 0 {
				t.Errorf("%d overruns", n)
			}
		})
	}
}
