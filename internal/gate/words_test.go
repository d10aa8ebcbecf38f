package gate_test

import (
	"strings"
	"testing"

	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/gate/gatetest"
	"github.com/plumbline/plumbline/internal/quota"
)

// Figures read as people write them.
func TestARefusalForQuotaCountsOne(t *testing.T) {
	one := quota.Limit{ID: "one", Scope: quota.ScopeUser, Dimension: quota.DimensionRequests, Window: quota.WindowDay, Value: 1}
	w := gatetest.New(t, gatetest.Options{Limits: []quota.Limit{one}})
	x, _ := admitted(t, w, chat(""))
	x.Close(t.Context(), core.FinishInterrupted)
	refused := opened(t, w)
	_, reply := refused.Admit(t.Context(), chat(""))
	if reply == nil {
		t.Fatal("a second request was admitted under a limit of one")
	}
	const want = "is used up: 1 request of 1 request, and this request may need 1 request."
	if !strings.Contains(string(reply.Body), want) {
		t.Errorf("%s does not say %q", reply.Body, want)
	}
	refused.Close(t.Context(), core.FinishInterrupted)
	headers := map[string]string{}
	for _, h := range reply.Header {
		headers[h[0]] = h[1]
	}
	if headers["x-ratelimit-limit-requests"] != "1" || headers["x-ratelimit-remaining-requests"] != "0" || headers["x-ratelimit-reset-requests"] == "" ||
		!strings.HasPrefix(headers["ratelimit"], `"requests";r=0;t=`) || headers["x-should-retry"] != "false" {
		t.Errorf("the refusal's headers are %v", headers)
	}
}
