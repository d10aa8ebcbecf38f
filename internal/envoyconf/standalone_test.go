package envoyconf_test

import (
	"flag"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	bootstrapv3 "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"
	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	extprocv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/ext_proc/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	"github.com/goccy/go-yaml"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/plumbline/plumbline/internal/envoyconf"
	"github.com/plumbline/plumbline/internal/envoyproc"
	"github.com/plumbline/plumbline/internal/testkit"
)

var update = flag.Bool("update", false, "rewrite the configurations in envoy/")

// variants are the ways to render that the rules are asserted on.
var variants = map[string]envoyconf.Options{
	"default":       {},
	"loopback":      {Upstream: "http://127.0.0.1:9001", Listen: "127.0.0.1:0"},
	"address":       {Upstream: "https://[2001:db8::1]:8443/v1/"},
	"key in Envoy":  {ProviderKeyFile: "/etc/hostname"},
	"admin, no log": {AdminSocket: "/tmp/admin.sock", AccessLog: "none"},
	"limits":        {BodyLimit: 1 << 20, MessageTimeout: 5e9, IdleTimeout: 60e9, Listen: "[::]:8080"},
	"gateway":       {Clients: shipped["gateway.yaml"].Clients, Listen: "[::]:8443"},
	"sidecar":       shipped["sidecar.yaml"],
}

// shipped are the configurations in envoy/.
var shipped = map[string]envoyconf.Options{
	"standalone.yaml": {},
	"gateway.yaml": {Listen: "0.0.0.0:10443", Clients: envoyconf.Clients{
		Certificate: "/etc/envoy/tls/tls.crt", Key: "/etc/envoy/tls/tls.key", Authorities: "/etc/envoy/tls/ca.crt", TrustDomain: "prod.example.com",
	}},
	"sidecar.yaml": {Workload: "spiffe://prod.example.com/ns/chat/sa/web"},
}

func TestGolden(t *testing.T) {
	for name, o := range shipped {
		testkit.Golden(t, filepath.Join(testkit.Root(t), "envoy", name), render(t, o), *update, "make generate writes what is rendered now")
	}
}

func TestIsAcceptedByEnvoy(t *testing.T) {
	binary := testkit.EnvoyBinary(t)
	files := certificateFiles(t)
	for name, o := range variants {
		t.Run(name, func(t *testing.T) {
			if o.Clients != (envoyconf.Clients{}) { // Envoy reads the files
				o.Clients = files
			}
			if err := envoyproc.Validate(t.Context(), binary, render(t, o)); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestIsSafe asserts, on what is rendered, each rule that keeps a request from passing unseen.
func TestIsSafe(t *testing.T) {
	for name, o := range variants {
		t.Run(name, func(t *testing.T) {
			b := parse(t, render(t, o))
			m := manager(t, b)
			checkExtProc(t, unpack(t, m.GetHttpFilters()[0].GetTypedConfig(), &extprocv3.ExternalProcessor{}))
			checkManager(t, m)
			checkRoutes(t, m)
			for _, c := range b.GetStaticResources().GetClusters() {
				checkCluster(t, c)
			}
			if last := m.GetHttpFilters()[len(m.GetHttpFilters())-1]; last.GetName() != "envoy.filters.http.router" {
				t.Errorf("the last filter is %s", last.GetName())
			}
			for _, f := range m.GetHttpFilters() {
				if f.GetIsOptional() || f.GetDisabled() {
					t.Errorf("filter %s may be left out", f.GetName())
				}
			}
			if b.GetAdmin() != nil && b.GetAdmin().GetAddress().GetPipe() == nil {
				t.Error("the admin interface listens on TCP")
			}
		})
	}
}

func checkExtProc(t *testing.T, p *extprocv3.ExternalProcessor) {
	t.Helper()
	mode := p.GetProcessingMode()
	for rule, kept := range map[string]bool{
		"fails closed":               !p.GetFailureModeAllow() && !p.GetObservabilityMode(),
		"failure is 503":             p.GetStatusOnError().GetCode() == 503,
		"request headers are sent":   mode.GetRequestHeaderMode() == extprocv3.ProcessingMode_SEND,
		"request body is BUFFERED":   mode.GetRequestBodyMode() == extprocv3.ProcessingMode_BUFFERED,
		"request trailers are sent":  mode.GetRequestTrailerMode() == extprocv3.ProcessingMode_SEND,
		"response headers are sent":  mode.GetResponseHeaderMode() == extprocv3.ProcessingMode_SEND,
		"response body is STREAMED":  mode.GetResponseBodyMode() == extprocv3.ProcessingMode_STREAMED,
		"response trailers are sent": mode.GetResponseTrailerMode() == extprocv3.ProcessingMode_SEND,
		"modes cannot be overridden": !p.GetAllowModeOverride(),
		"the route is kept":          p.GetRouteCacheAction() == extprocv3.ExternalProcessor_RETAIN,
		"no retries":                 p.GetGrpcService().GetRetryPolicy() == nil && p.GetGrpcService().GetEnvoyGrpc().GetRetryPolicy() == nil,
		"message time-out":           p.GetMessageTimeout().AsDuration() >= 1e9,
		"routing is not changed":     !p.GetMutationRules().GetAllowAllRouting().GetValue() && !p.GetMutationRules().GetAllowEnvoy().GetValue(),
		"no message is left out":     p.GetForwardRules() == nil,
		"identity attributes": slices.Contains(p.GetRequestAttributes(), "source.address") &&
			slices.Contains(p.GetRequestAttributes(), "connection.uri_san_peer_certificate"),
		"local replies are told apart": slices.Contains(p.GetResponseAttributes(), "response.code_details"),
	} {
		if !kept {
			t.Errorf("ext_proc: the rule %q is broken", rule)
		}
	}
}

func checkManager(t *testing.T, m *hcmv3.HttpConnectionManager) {
	t.Helper()
	cidrs := m.GetInternalAddressConfig().GetCidrRanges()
	for rule, kept := range map[string]bool{
		"callers' addresses are their own":  m.GetUseRemoteAddress().GetValue() && m.GetXffNumTrustedHops() == 0,
		"no caller is internal":             len(cidrs) == 1 && cidrs[0].GetAddressPrefix() == "255.255.255.255" && !m.GetInternalAddressConfig().GetUnixSockets(),
		"certificates in headers are cut":   m.GetForwardClientCertDetails() == hcmv3.HttpConnectionManager_SANITIZE,
		"headers are cut early":             len(m.GetEarlyHeaderMutationExtensions()) == 1,
		"paths are normalised":              m.GetNormalizePath().GetValue() && m.GetMergeSlashes(),
		"escaped slashes are refused":       m.GetPathWithEscapedSlashesAction() == hcmv3.HttpConnectionManager_REJECT_REQUEST,
		"no upgrades":                       len(m.GetUpgradeConfigs()) == 0,
		"slow callers are ended":            m.GetRequestTimeout().AsDuration() > 0 && m.GetRequestHeadersTimeout().AsDuration() > 0,
		"silence ends an exchange":          m.GetStreamIdleTimeout().AsDuration() > 0,
		"the first filter is ext_proc":      m.GetHttpFilters()[0].GetName() == "envoy.filters.http.ext_proc",
		"framing errors end the connection": !m.GetStreamErrorOnInvalidHttpMessage().GetValue(),
	} {
		if !kept {
			t.Errorf("connection manager: the rule %q is broken", rule)
		}
	}
}

func checkRoutes(t *testing.T, m *hcmv3.HttpConnectionManager) {
	t.Helper()
	hosts := m.GetRouteConfig().GetVirtualHosts()
	if len(hosts) != 1 || hosts[0].GetRetryPolicy() != nil || hosts[0].GetRequestBodyBufferLimit().GetValue() == 0 {
		t.Errorf("virtual hosts: %v", hosts)
	}
	for _, r := range hosts[0].GetRoutes() {
		a := r.GetRoute()
		if a.GetTimeout() == nil || a.GetTimeout().AsDuration() != 0 || a.GetIdleTimeout().AsDuration() <= 0 || a.GetRetryPolicy() != nil ||
			len(r.GetTypedPerFilterConfig()) > 0 || a.GetHostRewriteLiteral() == "" {
			t.Errorf("route %s: %v", r.GetName(), a)
		}
	}
}

func checkCluster(t *testing.T, c *clusterv3.Cluster) {
	t.Helper()
	limits := c.GetCircuitBreakers().GetThresholds()[0]
	if limits.GetMaxRequests().GetValue() < 10_000 || limits.GetMaxPendingRequests().GetValue() < 10_000 || limits.GetMaxRetries().GetValue() != 0 {
		t.Errorf("cluster %s: circuit breakers %v", c.GetName(), limits)
	}
	address := c.GetLoadAssignment().GetEndpoints()[0].GetLbEndpoints()[0].GetEndpoint().GetAddress()
	if c.GetName() != "provider" {
		if address.GetPipe() == nil {
			t.Errorf("cluster %s is not reached over a Unix socket", c.GetName())
		}
		return
	}
	host := address.GetSocketAddress().GetAddress()
	if c.GetTransportSocket() == nil {
		if host != "127.0.0.1" {
			t.Errorf("the provider at %s is reached without TLS", host)
		}
		return
	}
	tls := unpack(t, c.GetTransportSocket().GetTypedConfig(), &tlsv3.UpstreamTlsContext{})
	v := tls.GetCommonTlsContext().GetValidationContext()
	sans := v.GetMatchTypedSubjectAltNames()
	if v.GetTrustedCa() == nil || v.GetTrustChainVerification() != tlsv3.CertificateValidationContext_VERIFY_TRUST_CHAIN ||
		len(sans) != 1 || sans[0].GetMatcher().GetExact() != host || len(tls.GetCommonTlsContext().GetAlpnProtocols()) == 0 {
		t.Errorf("the provider's certificate is not verified: %v", tls)
	}
	if tls.GetSni() != host && !strings.Contains(host, ":") {
		t.Errorf("SNI %q for %s", tls.GetSni(), host)
	}
}

func TestStandaloneRefusesUnsafeOptions(t *testing.T) {
	for name, o := range map[string]envoyconf.Options{
		"listen on a name":        {Listen: "localhost:80"},
		"listen without port":     {Listen: "127.0.0.1"},
		"plain http to elsewhere": {Upstream: "http://api.openai.com"},
		"another scheme":          {Upstream: "ftp://api.openai.com"},
		"no host":                 {Upstream: "https://"},
		"a path":                  {Upstream: "https://api.openai.com/proxy"},
		"a query":                 {Upstream: "https://api.openai.com/?x=1"},
		"a user":                  {Upstream: "https://me:secret@api.openai.com"},
		"port 0":                  {Upstream: "https://api.openai.com:0"},
		"relative socket":         {Socket: "plumbline.sock"},
		"long socket":             {Socket: "/" + strings.Repeat("x", 104)},
		"relative admin socket":   {AdminSocket: "admin.sock"},
		"negative time-out":       {MessageTimeout: -1},
		"huge body":               {BodyLimit: 1 << 40},
	} {
		b, err := envoyconf.Standalone(o)
		if err == nil {
			t.Errorf("%s: rendered\n%s", name, b)
		} else if strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: the error tells the password", name)
		}
	}
}

// TestNothingOfAnOptionBecomesStructure renders options that hold YAML and format operators.
func TestNothingOfAnOptionBecomesStructure(t *testing.T) {
	const hostile = "/tmp/a: {b}\n- \"c\" # %REQ(authorization)%"
	b := parse(t, render(t, envoyconf.Options{ProviderKeyFile: hostile, AdminSocket: hostile}))
	if got := b.GetStaticResources().GetSecrets()[0].GetGenericSecret().GetSecret().GetFilename(); got != hostile {
		t.Errorf("key file %q", got)
	}
	if got := b.GetAdmin().GetAddress().GetPipe().GetPath(); got != hostile {
		t.Errorf("admin socket %q", got)
	}
}

func render(t *testing.T, o envoyconf.Options) []byte {
	t.Helper()
	kind := envoyconf.Standalone
	switch {
	case o.Clients != (envoyconf.Clients{}):
		kind = envoyconf.Gateway
	case o.Workload != "":
		kind = envoyconf.Sidecar
	}
	config, err := kind(o)
	if err != nil {
		t.Fatal(err)
	}
	return config
}

func parse(t *testing.T, config []byte) *bootstrapv3.Bootstrap {
	t.Helper()
	data, err := yaml.YAMLToJSON(config)
	if err != nil {
		t.Fatal(err)
	}
	b := &bootstrapv3.Bootstrap{}
	if err := protojson.Unmarshal(data, b); err != nil {
		t.Fatal(err)
	}
	return b
}

func manager(t *testing.T, b *bootstrapv3.Bootstrap) *hcmv3.HttpConnectionManager {
	t.Helper()
	listeners := b.GetStaticResources().GetListeners()
	if len(listeners) != 1 || listeners[0].GetEnableReusePort().GetValue() || listeners[0].GetEnableReusePort() == nil {
		t.Fatalf("listeners: %v", listeners)
	}
	if a := listeners[0].GetAddress(); a.GetSocketAddress().GetProtocol() != corev3.SocketAddress_TCP {
		t.Fatalf("address: %v", a)
	}
	return unpack(t, listeners[0].GetFilterChains()[0].GetFilters()[0].GetTypedConfig(), &hcmv3.HttpConnectionManager{})
}

func unpack[M proto.Message](t *testing.T, from *anypb.Any, into M) M {
	t.Helper()
	if err := from.UnmarshalTo(into); err != nil {
		t.Fatal(err)
	}
	return into
}
