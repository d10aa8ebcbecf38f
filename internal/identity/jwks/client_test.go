package jwks_test

import (
	"crypto/tls"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/plumbline/plumbline/internal/identity"
	"github.com/plumbline/plumbline/internal/identity/jwks"
	"github.com/plumbline/plumbline/internal/testkit/oidc"
)

func client(t *testing.T, p *oidc.Provider, change func(*jwks.ClientOptions)) *jwks.Client {
	t.Helper()
	o := jwks.ClientOptions{URL: p.KeysURL, RootCAs: p.Pool(), AllowPrivate: true}
	if change != nil {
		change(&o)
	}
	c, err := jwks.NewClient(o)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestFetch(t *testing.T) {
	p := oidc.Start(t)
	document, err := client(t, p, nil).Fetch(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	set, err := identity.ParseKeySet(document, []string{"ES256"})
	if err != nil || set.Len() != 1 {
		t.Errorf("%d keys, %v", set.Len(), err)
	}
}

func TestFetchRefuses(t *testing.T) {
	other := oidc.Start(t)
	for name, c := range map[string]struct {
		answer http.HandlerFunc
		change func(*jwks.ClientOptions)
		want   string
	}{
		"a redirect": {answer: func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, other.KeysURL, http.StatusFound)
		}, want: "status 302"},
		"an error": {answer: func(w http.ResponseWriter, _ *http.Request) {
			http.Error(w, `{"keys":[]}`, http.StatusServiceUnavailable)
		}, want: "status 503"},
		"no content": {answer: func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }, want: "status 204"},
		"a huge body": {answer: func(w http.ResponseWriter, _ *http.Request) {
			for range 1 << 10 {
				if _, err := w.Write([]byte(strings.Repeat(" ", 1<<16))); err != nil {
					return
				}
			}
		}, want: "larger than 65536 bytes"},
		"a huge header": {answer: func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("X-Long", strings.Repeat("x", 1<<17))
		}, want: "server response headers exceeded"},
		"a slow body": {answer: func(w http.ResponseWriter, r *http.Request) {
			w.Write([]byte(`{"keys":`))
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		}, want: "reading the key set"},
		"a body cut short": {answer: func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100")
			w.Write([]byte(`{"keys":[]}`))
		}, want: "unexpected EOF"},
		"a private address":     {change: func(o *jwks.ClientOptions) { o.AllowPrivate = false }, want: "not one of the public Internet"},
		"an unknown authority":  {change: func(o *jwks.ClientOptions) { o.RootCAs = nil }, want: "x509"},
		"a name of another one": {change: func(o *jwks.ClientOptions) { o.URL = strings.Replace(o.URL, "127.0.0.1", "localhost", 1) }, want: "x509"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := oidc.Start(t)
			p.Answer(c.answer)
			began := time.Now()
			if data, err := client(t, p, c.change).Fetch(t.Context()); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%d bytes, error %v, want %q", len(data), err, c.want)
			}
			if took := time.Since(began); took > 8*time.Second { // 3s, on a busy machine
				t.Errorf("took %v", took)
			}
		})
	}
	if n := other.Fetches(); n != 0 {
		t.Errorf("%d redirects were followed", n)
	}
}

// A connection that is taken and then never answered, or answered in plain text or an old TLS.
func TestFetchFromWhatIsNoHTTPS(t *testing.T) {
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { silent.Close() })
	plain := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(plain.Close)
	old := httptest.NewUnstartedServer(http.NotFoundHandler())
	old.TLS = &tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}
	old.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	old.StartTLS()
	t.Cleanup(old.Close)
	for name, address := range map[string]string{
		"silent": silent.Addr().String(), "plain": plain.Listener.Addr().String(), "old TLS": old.Listener.Addr().String(),
	} {
		c, err := jwks.NewClient(jwks.ClientOptions{URL: "https://" + address, AllowPrivate: true})
		if err != nil {
			t.Fatal(err)
		}
		if data, err := c.Fetch(t.Context()); err == nil {
			t.Errorf("%s: %d bytes", name, len(data))
		}
	}
}

func TestURLs(t *testing.T) {
	for url, good := range map[string]bool{
		"https://idp.test/keys": true, "https://idp.test:8443/a/b?c=d": true, "https://[2001:db8::1]/": true,
		"": false, "idp.test/keys": false, "http://idp.test/keys": false, "file:///etc/passwd": false, "https://": false, "https:///keys": false,
		"https://user:password@idp.test/keys": false, "https://idp.test/keys#a": false, "https://idp.test/%zz": false, "HTTPS://idp.test/": true,
	} {
		err := jwks.CheckURL(url)
		if (err == nil) != good {
			t.Errorf("%q: %v", url, err)
		}
		if err != nil && strings.Contains(err.Error(), "password@") {
			t.Errorf("%q is quoted", url)
		}
	}
	if _, err := jwks.NewClient(jwks.ClientOptions{URL: "http://idp.test"}); err == nil {
		t.Error("a client for plain HTTP")
	}
}
