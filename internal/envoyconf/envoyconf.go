// Package envoyconf writes Envoy configurations that are safe to put in front of a provider: what Plumbline has not
// seen and allowed does not pass, whatever fails.
//
// Contract: equal options give equal bytes; each rule that keeps a request from passing unseen is asserted by a test on
// the rendered configuration, and the configuration is checked by a real Envoy.
//
// Envoy's configuration types and the YAML of the result stay here. It imports nothing of Plumbline.
package envoyconf

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	bootstrapv3 "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"
	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
)

// ListenerName is the name of the listener that callers connect to.
const ListenerName = "plumbline"

// The defaults of Options.
const (
	DefaultListen   = "127.0.0.1:10000"
	DefaultUpstream = "https://api.openai.com"
	DefaultSocket   = "/run/plumbline/plumbline.sock"
	// DefaultMessageTimeout leaves room for a durable write under load, which Envoy's own 200 ms do not.
	DefaultMessageTimeout = 2 * time.Second
	// DefaultBodyLimit is the largest body of any endpoint (audio and images).
	DefaultBodyLimit = 32 << 20
	// DefaultIdleTimeout outlasts the ten minutes that OpenAI's SDKs wait for an answer to begin.
	DefaultIdleTimeout = 11 * time.Minute
	// DefaultTrustedCA is where Debian and its kin keep the system's certificate authorities.
	DefaultTrustedCA = "/etc/ssl/certs/ca-certificates.crt"
	// DefaultAccessLog is Envoy's standard output.
	DefaultAccessLog = "/dev/stdout"
)

// maxSocketPath is the longest path of a Unix socket that every system takes, in bytes.
const maxSocketPath = 104

// Options say what differs between installations. The zero value of each field is its default.
type Options struct {
	// Listen is the address for callers, "host:port" with an IP address; port 0 lets the kernel choose.
	Listen string
	// Upstream is the provider's URL without a path (a trailing /v1 is understood). Plain http is for a provider on
	// this machine.
	Upstream string
	// Socket is the absolute path of Plumbline's Unix socket.
	Socket string
	// AdminSocket is the absolute path of a Unix socket for Envoy's admin interface. Empty: there is none.
	AdminSocket string
	// AccessLog is the file that takes one line of JSON for each exchange, "none" for no access log.
	AccessLog string
	// MessageTimeout is how long Envoy waits for each of Plumbline's answers. Plumbline must know the same value.
	MessageTimeout time.Duration
	// BodyLimit is the largest request body in bytes; above it callers get 413.
	BodyLimit int64
	// IdleTimeout is the longest silence on a request or an answer.
	IdleTimeout time.Duration
	// ProviderKeyFile makes Envoy itself put the provider's key, the content of this file, into requests. Empty:
	// Plumbline does.
	ProviderKeyFile string
	// TrustedCA is a file with the certificate authorities that may vouch for an https upstream.
	TrustedCA string

	// Clients has callers prove who they are, for Gateway.
	Clients Clients
	// Workload is the SPIFFE id of the one program that calls, for Sidecar.
	Workload string
}

// Clients say how callers prove who they are: by a certificate of the mesh. Each field is required.
type Clients struct {
	// Certificate and Key are files with the listener's own certificate, and its chain, and private key.
	Certificate, Key string
	// Authorities is a file with the certificate authorities of the trust domain.
	Authorities string
	// TrustDomain is the one whose workloads may connect, "prod.example.com".
	TrustDomain string
}

func (o Options) withDefaults() Options {
	o.Listen = cmp.Or(o.Listen, DefaultListen)
	o.Upstream = cmp.Or(o.Upstream, DefaultUpstream)
	o.Socket = cmp.Or(o.Socket, DefaultSocket)
	o.AccessLog = cmp.Or(o.AccessLog, DefaultAccessLog)
	o.MessageTimeout = cmp.Or(o.MessageTimeout, DefaultMessageTimeout)
	o.BodyLimit = cmp.Or(o.BodyLimit, DefaultBodyLimit)
	o.IdleTimeout = cmp.Or(o.IdleTimeout, DefaultIdleTimeout)
	o.TrustedCA = cmp.Or(o.TrustedCA, DefaultTrustedCA)
	return o
}

// Standalone gives the bootstrap, as YAML with comments, of an Envoy that listens for plain HTTP, has Plumbline judge
// each exchange over a Unix socket and forwards to one provider. Errors name the option at fault.
func Standalone(o Options) ([]byte, error) {
	if o.Clients != (Clients{}) || o.Workload != "" {
		return nil, errors.New("a standalone Envoy knows nothing of who calls: use gateway or sidecar")
	}
	return bootstrap(o, "standalone")
}

// Gateway is Standalone for callers of a mesh, who connect by TLS: each must show a certificate of the trust domain, which
// is verified, and Plumbline is told that it was.
func Gateway(o Options) ([]byte, error) {
	if o.Workload != "" {
		return nil, errors.New("a gateway has many callers: a workload is for a sidecar")
	}
	if err := o.Clients.check(); err != nil {
		return nil, err
	}
	return bootstrap(o, "gateway")
}

// Sidecar is Standalone for the one program that Envoy stands beside, by whose workload identity Plumbline is told to know
// the caller. The listener must be on loopback: whoever reaches it is taken for that program.
func Sidecar(o Options) ([]byte, error) {
	if o.Clients != (Clients{}) {
		return nil, errors.New("a sidecar's one caller shows no certificate: use gateway")
	}
	if !workloadForm.MatchString(o.Workload) {
		return nil, errors.New("the workload must be a SPIFFE id like spiffe://prod.example.com/ns/chat/sa/web")
	}
	if listen, err := netip.ParseAddrPort(cmp.Or(o.Listen, DefaultListen)); err == nil && !listen.Addr().IsLoopback() {
		return nil, errors.New("a sidecar listens on loopback: whoever reaches it is taken for its workload")
	}
	return bootstrap(o, "sidecar")
}

var (
	trustDomainForm = regexp.MustCompile(`^[a-z0-9._-]{1,255}$`)
	// workloadForm leaves out, among others, the percent sign, with which Envoy would put a caller's header in its place.
	workloadForm = regexp.MustCompile(`^spiffe://[a-z0-9._-]{1,255}(/[A-Za-z0-9._-]+)+$`)
)

func (c Clients) check() error {
	var problems []error
	for _, file := range []struct{ name, path string }{{"certificate", c.Certificate}, {"key", c.Key}, {"file of authorities", c.Authorities}} {
		if !filepath.IsAbs(file.path) {
			problems = append(problems, fmt.Errorf("the %s %q of the listener is not an absolute path", file.name, file.path))
		}
	}
	if !trustDomainForm.MatchString(c.TrustDomain) {
		problems = append(problems, errors.New("the trust domain must be a name like prod.example.com"))
	}
	return errors.Join(problems...)
}

// bootstrap renders what the kinds of configuration have in common. command is the one that writes it.
func bootstrap(o Options, command string) ([]byte, error) {
	o = o.withDefaults()
	listen, err := parseListen(o.Listen)
	if err != nil {
		return nil, err
	}
	up, err := parseUpstream(o.Upstream)
	if err != nil {
		return nil, err
	}
	if err := o.check(); err != nil {
		return nil, err
	}
	listener, err := newListener(o, listen, up)
	if err != nil {
		return nil, err
	}
	provider, err := newProviderCluster(o, up)
	if err != nil {
		return nil, err
	}
	sidecar, err := newSidecarCluster(o)
	if err != nil {
		return nil, err
	}
	b := &bootstrapv3.Bootstrap{StaticResources: &bootstrapv3.Bootstrap_StaticResources{
		Listeners: []*listenerv3.Listener{listener},
		Clusters:  []*clusterv3.Cluster{provider, sidecar},
	}}
	if o.ProviderKeyFile != "" {
		b.StaticResources.Secrets = []*tlsv3.Secret{providerKey(o.ProviderKeyFile)}
	}
	if o.AdminSocket != "" {
		b.Admin = &bootstrapv3.Admin{Address: pipe(o.AdminSocket)}
	}
	b.OverloadManager, err = newOverloadManager()
	if err != nil {
		return nil, err
	}
	return marshal(b, command)
}

func (o Options) check() error {
	var problems []error
	paths := []struct{ name, path string }{{"socket", o.Socket}, {"admin socket", o.AdminSocket}}
	for _, p := range paths {
		switch {
		case p.path == "":
		case !filepath.IsAbs(p.path):
			problems = append(problems, fmt.Errorf("the %s %q is not an absolute path", p.name, p.path))
		case len(p.path) > maxSocketPath:
			problems = append(problems, fmt.Errorf("the %s's path has %d bytes; a Unix socket's may have %d", p.name, len(p.path), maxSocketPath))
		}
	}
	if o.MessageTimeout < 0 || o.IdleTimeout < 0 {
		problems = append(problems, errors.New("time-outs must be positive"))
	}
	if o.BodyLimit < 0 || o.BodyLimit > maxBodyLimit {
		problems = append(problems, fmt.Errorf("the body limit must be at most %d bytes", int64(maxBodyLimit)))
	}
	return errors.Join(problems...)
}

// maxBodyLimit keeps buffers at a size that Envoy can hold for many requests.
const maxBodyLimit = 1 << 30

func parseListen(s string) (netip.AddrPort, error) {
	listen, err := netip.ParseAddrPort(s)
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("the listen address must be an IP address and a port like %s: %w", DefaultListen, err)
	}
	return listen, nil
}

// upstream is where the provider is.
type upstream struct {
	host string
	port uint16
	tls  bool
	ip   bool // host is an IP address
}

// authority is the Host that the provider expects.
func (u upstream) authority() string {
	if u.tls && u.port == 443 || !u.tls && u.port == 80 {
		if strings.Contains(u.host, ":") {
			return "[" + u.host + "]"
		}
		return u.host
	}
	return net.JoinHostPort(u.host, strconv.Itoa(int(u.port)))
}

func parseUpstream(s string) (upstream, error) {
	parsed, err := url.Parse(s)
	if err != nil {
		return upstream{}, errors.New("the upstream is not a URL like " + DefaultUpstream) // err may quote a password
	}
	u := upstream{host: parsed.Hostname(), tls: parsed.Scheme == "https"}
	addr, err := netip.ParseAddr(u.host)
	u.ip = err == nil
	switch {
	case parsed.Scheme != "https" && parsed.Scheme != "http" || u.host == "":
		return upstream{}, errors.New("the upstream is not a URL like " + DefaultUpstream)
	case parsed.User != nil || parsed.RawQuery != "" || parsed.Fragment != "":
		return upstream{}, errors.New("the upstream must have neither a user, a query nor a fragment")
	case strings.Trim(strings.TrimSuffix(strings.TrimSuffix(parsed.Path, "/"), "/v1"), "/") != "":
		return upstream{}, errors.New("the upstream must not have a path: callers' paths are passed on as they are")
	case !u.tls && u.host != "localhost" && !addr.IsLoopback():
		return upstream{}, errors.New("the upstream must be https: over plain http the provider's key could be read on its way")
	}
	u.port = 80
	if u.tls {
		u.port = 443
	}
	if p := parsed.Port(); p != "" {
		n, err := strconv.ParseUint(p, 10, 16)
		if err != nil || n == 0 {
			return upstream{}, errors.New("the upstream's port is not between 1 and 65535")
		}
		u.port = uint16(n)
	}
	return u, nil
}

func pipe(path string) *corev3.Address {
	return &corev3.Address{Address: &corev3.Address_Pipe{Pipe: &corev3.Pipe{Path: path, Mode: 0o600}}}
}

func socketAddress(host string, port uint16) *corev3.Address {
	return &corev3.Address{Address: &corev3.Address_SocketAddress{SocketAddress: &corev3.SocketAddress{
		Address: host, PortSpecifier: &corev3.SocketAddress_PortValue{PortValue: uint32(port)},
	}}}
}
