package e2e

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/envoyconf"
	"github.com/plumbline/plumbline/internal/identity"
	"github.com/plumbline/plumbline/internal/testkit"
)

// The workloads of the tests' mesh.
const (
	trustDomain = "prod.test"
	helpdeskID  = "spiffe://prod.test/ns/chat/sa/helpdesk"
	crmID       = "spiffe://prod.test/ns/chat/sa/crm"
	unmappedID  = "spiffe://prod.test/jobs/nightly"
	meshRules   = "spiffe://prod.test/ns/*/sa/{app} app={app},spiffe://prod.test/people/{user} user={user}"
	dummyKey    = "not-needed"
	meshObjects = "\nlimits:\n  - {id: crm, scope: app, subject: crm, dimension: requests, window: day, value: 1}\n"
)

// authority issues certificates for a test.
type authority struct {
	t    testing.TB
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pem  []byte
	last int64
}

func newAuthority(t testing.TB, name string) *authority {
	t.Helper()
	a := &authority{t: t, key: newKeyPair(t), last: 1}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(a.last), Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, a.key.Public(), a.key)
	must(t, err)
	a.cert, err = x509.ParseCertificate(der)
	must(t, err)
	a.pem = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	return a
}

func newKeyPair(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	return key
}

// issue gives the certificate of a workload, or of the gateway for no id.
func (a *authority) issue(id string, until time.Time) tls.Certificate {
	a.t.Helper()
	a.last++
	template := &x509.Certificate{
		SerialNumber: big.NewInt(a.last), NotBefore: time.Now().Add(-time.Hour), NotAfter: until, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth},
	}
	if id == "" {
		template.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 1)}
	} else {
		uri, err := url.Parse(id)
		must(a.t, err)
		template.URIs = []*url.URL{uri}
	}
	key := newKeyPair(a.t)
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, key.Public(), a.key)
	must(a.t, err)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

func (a *authority) workload(id string) tls.Certificate {
	return a.issue(id, time.Now().Add(time.Hour))
}

// mesh is a world whose callers come over mTLS.
type mesh struct {
	*world
	ca      *authority
	clients envoyconf.Clients
}

func startMesh(t testing.TB) *mesh {
	t.Helper()
	m := &mesh{ca: newAuthority(t, "the mesh")}
	dir := t.TempDir()
	gateway := m.ca.workload("")
	der, err := x509.MarshalPKCS8PrivateKey(gateway.PrivateKey)
	must(t, err)
	write := func(name, kind string, der []byte) string {
		return writeFile(t, dir, name, string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})))
	}
	s := meshSetup()
	m.clients = envoyconf.Clients{
		Certificate: write("gateway.pem", "CERTIFICATE", gateway.Certificate[0]), Key: write("gateway.key", "PRIVATE KEY", der),
		Authorities: writeFile(t, dir, "ca.pem", string(m.ca.pem)), TrustDomain: trustDomain,
	}
	s.envoy.Clients = m.clients
	m.world = start(t, s)
	return m
}

func meshSetup() setup {
	s := setup{
		objects:  strings.Replace(objects, "apps:\n", "apps:\n  - {id: crm}\n", 1) + meshObjects,
		settings: map[string]string{"identity.mesh.ids": meshRules, "identity.mesh.dummy_key": dummyKey},
	}
	s.provider.ChunkPause = 20 * time.Millisecond
	return s
}

// as gives the same world to a subtest, in which callers show a certificate.
func (m *mesh) as(t testing.TB, certificates ...tls.Certificate) *world {
	w := m.in(t)
	pool := x509.NewCertPool()
	pool.AddCert(m.ca.cert)
	w.client = &tls.Config{RootCAs: pool, ServerName: "127.0.0.1", Certificates: certificates}
	return w
}

func inquiry(auth ...string) call { return call{auth: auth, body: chatBody("gpt-4o", onTask, nil)} }

var (
	noCredential = refusal{401, "invalid_request_error", "invalid_api_key", "", core.ReasonMissingCredential, askAgain}
	badIdentity  = refusal{401, "invalid_request_error", "invalid_api_key", "", core.ReasonInvalidCredential, badBearer}
)

func TestMeshGateway(t *testing.T) {
	t.Parallel()
	m := startMesh(t)
	helpdesk, crm := m.ca.workload(helpdeskID), m.ca.workload(crmID)
	for name, auth := range map[string][]string{"without a credential": nil, "with the dummy key": {dummyKey}} {
		t.Run(name, func(t *testing.T) {
			w := m.as(t, helpdesk)
			r := w.send(inquiry(auth...))
			if r.Status != http.StatusOK {
				t.Fatalf("status %d: %s", r.Status, r.Body)
			}
			intent, _ := w.outcome(r.Exchange)
			if (intent.Principal != core.Principal{App: "helpdesk", Team: "support", Method: core.MethodMesh, Workload: helpdeskID}) {
				t.Errorf("the audit names %+v", intent.Principal)
			}
		})
	}
	t.Run("governed as its app", func(t *testing.T) {
		w := m.as(t, crm)
		if r := w.send(inquiry()); r.Status != http.StatusOK {
			t.Fatalf("status %d: %s", r.Status, r.Body)
		}
		_, rec := w.refused(inquiry(), refusal{429, "insufficient_quota", "insufficient_quota", "", core.ReasonQuotaExhausted, nil})
		if rec.Principal.App != "crm" || rec.Verdict.Rule != "crm" {
			t.Errorf("the audit has %+v, rule %s", rec.Principal, rec.Verdict.Rule)
		}
	})
	t.Run("a token names the person", func(t *testing.T) {
		w := m.as(t, helpdesk)
		token, id := w.issue(identity.IssueRequest{User: "ann", Actor: "agent-7"})
		r := w.send(inquiry(token))
		intent, _ := w.outcome(r.Exchange)
		want := core.Principal{
			User: "ann", Team: "support", App: "helpdesk", Method: core.MethodToken, Issuer: "plumbline", Credential: id,
			Actor: "agent-7", Workload: helpdeskID,
		}
		if r.Status != http.StatusOK || intent.Principal != want {
			t.Errorf("status %d, the audit names %+v", r.Status, intent.Principal)
		}
	})
	t.Run("the key of another app", func(t *testing.T) {
		w := m.as(t, crm)
		w.turnedAway(inquiry(w.key), badIdentity, "ann")
	})
	t.Run("a workload that nobody mapped", func(t *testing.T) {
		m.as(t, m.ca.workload(unmappedID)).unnamed(inquiry(), refusal{401, "invalid_request_error", "invalid_api_key", "", core.ReasonUnknownPrincipal, badBearer})
	})
	t.Run("a person who is blocked", func(t *testing.T) {
		w := m.as(t, m.ca.workload("spiffe://prod.test/people/ben"))
		ben, err := w.app.Store().Users().Get(t.Context(), "ben")
		must(t, err)
		ben.Blocked = true
		must(t, w.app.Store().Users().Put(t.Context(), ben))
		w.refresh()
		w.turnedAway(inquiry(), refusal{403, "permission_error", "user_blocked", "", core.ReasonUserBlocked, map[string]string{"x-should-retry": "false"}}, "ben")
	})
}

// TestMeshGatewayDemandsACertificate: whoever shows none, or one that the mesh did not issue, does not get as far as HTTP.
func TestMeshGatewayDemandsACertificate(t *testing.T) {
	t.Parallel()
	m := startMesh(t)
	for name, shown := range map[string][]tls.Certificate{
		"none":                          nil,
		"of another authority":          {newAuthority(t, "an impostor").workload(helpdeskID)},
		"of another trust domain":       {m.ca.workload("spiffe://prod.test.evil/ns/chat/sa/helpdesk")},
		"of the gateway, without an id": {m.ca.workload("")},
		"that has ended":                {m.ca.issue(helpdeskID, time.Now().Add(-time.Minute))},
		"of a certificate, self-signed": {selfSigned(t, helpdeskID)},
		"of the right id by a leaf":     {leafSigned(t, m.ca)},
	} {
		t.Run(name, func(t *testing.T) {
			w := m.as(t, shown...)
			conn := w.dial()
			defer conn.Close()
			_, err := conn.Write(inquiry(w.key).bytes())
			if err == nil {
				_, err = readResponse(conn, "POST")
			}
			if err == nil {
				t.Error("an answer came")
			}
			w.untouched(0)
		})
	}
	t.Run("its own one passes", func(t *testing.T) {
		if r := m.as(t, m.ca.workload(helpdeskID)).send(inquiry()); r.Status != http.StatusOK {
			t.Errorf("status %d: %s", r.Status, r.Body)
		}
	})
}

func selfSigned(t testing.TB, id string) tls.Certificate {
	own := newAuthority(t, "nobody")
	return own.workload(id)
}

// leafSigned is a certificate that a workload, which is no authority, made for another.
func leafSigned(t testing.TB, ca *authority) tls.Certificate {
	t.Helper()
	leaf := ca.workload(crmID)
	cert, err := x509.ParseCertificate(leaf.Certificate[0])
	must(t, err)
	rogue := &authority{t: t, cert: cert, key: leaf.PrivateKey.(*ecdsa.PrivateKey)}
	made := rogue.workload(helpdeskID)
	made.Certificate = append(made.Certificate, leaf.Certificate[0])
	return made
}

func TestTokenBoundToACertificate(t *testing.T) {
	t.Parallel()
	m := startMesh(t)
	mine, other := m.ca.workload(helpdeskID), m.ca.workload(helpdeskID) // of one workload, and not the same
	token, _ := m.issue(identity.IssueRequest{User: "ann", Certificate: sha256.Sum256(mine.Certificate[0])})
	for range 2 { // the second time its verification is remembered
		if r := m.as(t, mine).send(inquiry(token)); r.Status != http.StatusOK {
			t.Errorf("with its certificate: status %d: %s", r.Status, r.Body)
		}
		m.as(t, other).turnedAway(inquiry(token), badIdentity, "ann")
	}
	plain := m.beside(t, envoyconf.Options{})
	plain.turnedAway(inquiry(token), badIdentity, "ann")
}

// beside is another Envoy before the same Plumbline, on a plain listener.
func (m *mesh) beside(t testing.TB, o envoyconf.Options) *world {
	t.Helper()
	w := m.in(t)
	w.envoy = testkit.StartEnvoy(t, m.options(o))
	return w
}

// options are those of an Envoy before the same Plumbline.
func (m *mesh) options(o envoyconf.Options) envoyconf.Options {
	o.Upstream, o.Socket, o.MessageTimeout, o.BodyLimit = m.upstream, m.app.Socket(), m.cfg.ExtProc.MessageTimeout, int64(m.cfg.ExtProc.MaxBody)
	return o
}

// spoofed are headers with which a caller says to be a workload.
func spoofed(c call) call {
	for _, name := range []string{"x-forwarded-client-cert", "x-plumbline-workload", "x-plumbline-clients", "connection.uri_san_peer_certificate"} {
		for _, value := range []string{crmID, "By=" + helpdeskID + ";URI=" + crmID, "verified"} {
			c = c.with(name, value)
		}
	}
	return c
}

// TestMeshIdentityCannotBeClaimed: what callers say of themselves in headers has no effect, on any kind of listener.
func TestMeshIdentityCannotBeClaimed(t *testing.T) {
	t.Parallel()
	m := startMesh(t)
	t.Run("at a gateway", func(t *testing.T) {
		w := m.as(t, m.ca.workload(helpdeskID))
		r := w.send(spoofed(inquiry()))
		intent, _ := w.outcome(r.Exchange)
		if r.Status != http.StatusOK || intent.Principal.App != "helpdesk" || intent.Principal.Workload != helpdeskID {
			t.Errorf("status %d, the audit names %+v", r.Status, intent.Principal)
		}
		for name := range w.provider.Requests()[0].Header {
			if strings.HasPrefix(name, "X-Plumbline") || name == "X-Forwarded-Client-Cert" {
				t.Errorf("the provider received %s", name)
			}
		}
	})
	t.Run("at a plain listener", func(t *testing.T) { m.beside(t, envoyconf.Options{}).unnamed(spoofed(inquiry()), noCredential) })
	t.Run("at a sidecar", func(t *testing.T) {
		w := m.beside(t, envoyconf.Options{Workload: helpdeskID})
		r := w.send(spoofed(inquiry(dummyKey)))
		intent, _ := w.outcome(r.Exchange)
		if r.Status != http.StatusOK || (intent.Principal != core.Principal{App: "helpdesk", Team: "support", Method: core.MethodMesh, Workload: helpdeskID}) {
			t.Errorf("status %d, the audit names %+v", r.Status, intent.Principal)
		}
	})
}

// TestCertificatesOfAListenerThatDoesNotVouch: a listener that shows certificates to Plumbline and does not say that it
// verifies them proves nobody, however good they are.
func TestCertificatesOfAListenerThatDoesNotVouch(t *testing.T) {
	t.Parallel()
	m := startMesh(t)
	config, err := envoyconf.Gateway(m.options(envoyconf.Options{Clients: m.clients, Listen: "127.0.0.1:0", AccessLog: "none"}))
	must(t, err)
	silent := strings.Replace(string(config), "value: verified", "value: unverified", 1)
	if silent == string(config) {
		t.Fatal("the configuration does not vouch for its callers")
	}
	w := m.as(t, m.ca.workload(helpdeskID))
	p := testkit.RunEnvoy(t, []byte(silent))
	w.envoy = &testkit.Envoy{Process: p, URL: "https://" + p.Address(envoyconf.ListenerName)}
	w.unnamed(inquiry(), noCredential)
}

// TestMeshIsOff: without rules a gateway's certificates prove nobody.
func TestMeshIsOff(t *testing.T) {
	t.Parallel()
	w := start(t, setup{envoy: envoyconf.Options{Workload: helpdeskID}})
	w.unnamed(inquiry(), noCredential)
}

// TestWorkloadThatEndsCutsItsStream deletes the app of a workload while it reads a stream.
func TestWorkloadThatEndsCutsItsStream(t *testing.T) {
	t.Parallel()
	m := startMesh(t)
	w := m.as(t, m.ca.workload("spiffe://prod.test/people/ann"))
	s := w.open(call{body: chatBody("standin-long", onTask, streamed)})
	s.until(`"content":" hangs"`)
	ann, err := w.app.Store().Users().Get(t.Context(), "ann")
	must(t, err)
	ann.Blocked = true
	must(t, w.app.Store().Users().Put(t.Context(), ann))
	since := time.Now()
	s.until("[DONE]")
	if took := time.Since(since); took > 1500*time.Millisecond {
		t.Errorf("the stream went on for %v", took)
	}
	s.close()
	if _, outcome := w.outcome(s.exchange); outcome.Reason != core.ReasonUserBlocked || outcome.Principal.Method != core.MethodMesh {
		t.Errorf("the audit has reason %s of %+v", outcome.Reason, outcome.Principal)
	}
}
