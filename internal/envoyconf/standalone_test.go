package envoyconf_test

import (
	"os"
	"testing"

	"github.com/plumbline/plumbline/internal/envoyconf"
	"github.com/plumbline/plumbline/internal/envoyproc"
)

func TestScratch(t *testing.T) {
	for _, o := range []envoyconf.Options{{}, {Upstream: "http://127.0.0.1:9", ProviderKeyFile: "/etc/hostname", AdminSocket: "/tmp/x.sock"}} {
		b, err := envoyconf.Standalone(o)
		if err != nil {
			t.Fatal(err)
		}
		os.WriteFile("/tmp/w/ecmain/out.yaml", b, 0o600)
		if err := envoyproc.Validate(t.Context(), "/tmp/w/v/lib/python3.11/site-packages/envoy/_bin/envoy", b); err != nil {
			t.Error(err)
		}
	}
}
