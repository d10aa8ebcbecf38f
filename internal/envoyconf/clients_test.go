package envoyconf_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	extprocv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/ext_proc/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"

	"github.com/plumbline/plumbline/internal/envoyconf"
	"github.com/plumbline/plumbline/internal/testkit"
)

// certificateFiles makes files that Envoy takes.
func certificateFiles(t *testing.T) envoyconf.Clients {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	write := func(name, kind string, der []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	c := envoyconf.Clients{Certificate: write("tls.crt", "CERTIFICATE", cert), Key: write("tls.key", "PRIVATE KEY", private), TrustDomain: "prod.test"}
	c.Authorities = c.Certificate
	return c
}

// TestNobodyIsVouchedForUnproven: on everything that is rendered and everything that is shipped, Plumbline is told that
// callers are verified exactly where a certificate is demanded and verified by authority and trust domain, and which
// workload calls exactly where the listener is on loopback.
func TestNobodyIsVouchedForUnproven(t *testing.T) {
	configs := map[string][]byte{}
	for name, o := range variants {
		configs[name] = render(t, o)
	}
	files, err := filepath.Glob(filepath.Join(testkit.Root(t), "envoy", "*.yaml"))
	if err != nil || len(files) < len(shipped) {
		t.Fatalf("envoy/ has %v, %v", files, err)
	}
	for _, file := range files {
		if configs[file], err = os.ReadFile(file); err != nil {
			t.Fatal(err)
		}
	}
	vouching, naming := 0, 0
	for name, config := range configs {
		t.Run(name, func(t *testing.T) {
			b := parse(t, config)
			for _, l := range b.GetStaticResources().GetListeners() {
				for _, chain := range l.GetFilterChains() {
					said := toldOf(t, chain)
					verified, workload := said["x-plumbline-clients"] == "verified", said["x-plumbline-workload"] != ""
					if verified != provesCallers(t, chain) {
						t.Errorf("said to verify its callers: %v", verified)
					}
					if workload && (verified || !netip.MustParseAddr(l.GetAddress().GetSocketAddress().GetAddress()).IsLoopback()) {
						t.Error("one workload is named for many callers")
					}
					if verified {
						vouching++
					}
					if workload {
						naming++
					}
				}
			}
		})
	}
	if vouching != 2 || naming != 2 {
		t.Errorf("%d configurations vouch for callers and %d name one", vouching, naming)
	}
}

// toldOf gives what Plumbline is told of the callers of a filter chain.
func toldOf(t *testing.T, chain *listenerv3.FilterChain) map[string]string {
	t.Helper()
	m := unpack(t, chain.GetFilters()[0].GetTypedConfig(), &hcmv3.HttpConnectionManager{})
	p := unpack(t, m.GetHttpFilters()[0].GetTypedConfig(), &extprocv3.ExternalProcessor{})
	said := map[string]string{}
	for _, h := range p.GetGrpcService().GetInitialMetadata() {
		said[h.GetKey()] = h.GetValue()
	}
	return said
}

// provesCallers reports whether no caller gets past the TLS of a filter chain who does not prove its identity.
func provesCallers(t *testing.T, chain *listenerv3.FilterChain) bool {
	t.Helper()
	if chain.GetTransportSocket() == nil {
		return false
	}
	c := unpack(t, chain.GetTransportSocket().GetTypedConfig(), &tlsv3.DownstreamTlsContext{})
	v := c.GetCommonTlsContext().GetValidationContext()
	sans := v.GetMatchTypedSubjectAltNames()
	for rule, kept := range map[string]bool{
		"a certificate is demanded":   c.GetRequireClientCertificate().GetValue(),
		"authorities are named":       v.GetTrustedCa().GetFilename() != "",
		"the chain is verified":       v.GetTrustChainVerification() == tlsv3.CertificateValidationContext_VERIFY_TRUST_CHAIN,
		"expired ones are refused":    !v.GetAllowExpiredCertificate(),
		"one trust domain is matched": len(sans) == 1 && sans[0].GetSanType() == tlsv3.SubjectAltNameMatcher_URI && isTrustDomain(sans[0].GetMatcher().GetPrefix()),
		"TLS is new enough":           c.GetCommonTlsContext().GetTlsParams().GetTlsMinimumProtocolVersion() >= tlsv3.TlsParameters_TLSv1_2,
		"connections end some time":   maxConnection(t, chain) > 0,
	} {
		if !kept {
			t.Errorf("callers' certificates: the rule %q is broken", rule)
			return false
		}
	}
	return true
}

// isTrustDomain reports whether a prefix matches the ids of one trust domain: without its last slash it would match those
// of any domain that begins alike.
func isTrustDomain(prefix string) bool {
	return len(prefix) > len("spiffe:///") && prefix[:len("spiffe://")] == "spiffe://" && prefix[len(prefix)-1] == '/'
}

func maxConnection(t *testing.T, chain *listenerv3.FilterChain) time.Duration {
	t.Helper()
	m := unpack(t, chain.GetFilters()[0].GetTypedConfig(), &hcmv3.HttpConnectionManager{})
	return m.GetCommonHttpProtocolOptions().GetMaxConnectionDuration().AsDuration()
}

func TestClientsAreRefused(t *testing.T) {
	good := shipped["gateway.yaml"]
	with := func(change func(*envoyconf.Options)) envoyconf.Options {
		o := good
		change(&o)
		return o
	}
	for name, o := range map[string]envoyconf.Options{
		"no clients":                      with(func(o *envoyconf.Options) { o.Clients = envoyconf.Clients{} }),
		"no certificate":                  with(func(o *envoyconf.Options) { o.Clients.Certificate = "" }),
		"a relative key":                  with(func(o *envoyconf.Options) { o.Clients.Key = "tls.key" }),
		"no authorities":                  with(func(o *envoyconf.Options) { o.Clients.Authorities = "" }),
		"no trust domain":                 with(func(o *envoyconf.Options) { o.Clients.TrustDomain = "" }),
		"a trust domain with a path":      with(func(o *envoyconf.Options) { o.Clients.TrustDomain = "prod/ns" }),
		"a trust domain that is a URI":    with(func(o *envoyconf.Options) { o.Clients.TrustDomain = "spiffe://prod" }),
		"a trust domain with an operator": with(func(o *envoyconf.Options) { o.Clients.TrustDomain = "%REQ(x)%" }),
		"a workload":                      with(func(o *envoyconf.Options) { o.Workload = "spiffe://prod/ns" }),
	} {
		if config, err := envoyconf.Gateway(o); err == nil {
			t.Errorf("a gateway with %s: rendered\n%s", name, config)
		}
	}
	for name, o := range map[string]envoyconf.Options{
		"no workload":                   {},
		"an operator for a workload":    {Workload: "spiffe://prod/%REQ(x-user)%"},
		"two workloads":                 {Workload: "spiffe://prod/a,spiffe://prod/b"},
		"a trust domain for a workload": {Workload: "spiffe://prod"},
		"a listener for all":            {Workload: "spiffe://prod/ns", Listen: "0.0.0.0:10000"},
		"clients":                       {Workload: "spiffe://prod/ns", Clients: good.Clients},
	} {
		if config, err := envoyconf.Sidecar(o); err == nil {
			t.Errorf("a sidecar with %s: rendered\n%s", name, config)
		}
	}
	for _, o := range []envoyconf.Options{good, shipped["sidecar.yaml"]} {
		if _, err := envoyconf.Standalone(o); err == nil {
			t.Error("a standalone Envoy that says who calls")
		}
	}
}
