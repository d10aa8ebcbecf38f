package jwks

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"syscall"
	"time"

	"github.com/plumbline/plumbline/internal/identity"
)

const (
	// fetchTimeout covers all of a fetch: resolving, connecting, TLS and the whole body.
	fetchTimeout = 3 * time.Second
	maxHeader    = 16 << 10
)

// ClientOptions are what a client is made of.
type ClientOptions struct {
	// URL is where the key set is. It must be HTTPS, without user and fragment.
	URL string
	// RootCAs are the authorities that may vouch for the server; nil for the system's.
	RootCAs *x509.CertPool
	// AllowPrivate lets the URL lead to an address that is not of the public Internet.
	AllowPrivate bool
}

// Client fetches the document of one key set. It follows no redirect, uses no proxy, and connects to public addresses only
// unless told otherwise: whoever can change a DNS answer must not make Plumbline call what is near it.
type Client struct {
	url  string
	http *http.Client
}

// NewClient checks the options. It connects to nothing.
func NewClient(o ClientOptions) (*Client, error) {
	if err := CheckURL(o.URL); err != nil {
		return nil, err
	}
	dialer := &net.Dialer{Timeout: fetchTimeout}
	if !o.AllowPrivate {
		dialer.Control = publicOnly
	}
	return &Client{o.URL, &http.Client{
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			DialContext:            dialer.DialContext,
			TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: o.RootCAs},
			DisableKeepAlives:      true, // minutes pass between two fetches
			DisableCompression:     true, // what is read is bounded as it was sent
			MaxResponseHeaderBytes: maxHeader,
		},
	}}, nil
}

// CheckURL reports why a URL cannot be that of a key set.
func CheckURL(s string) error {
	u, err := url.Parse(s)
	switch {
	case err != nil: // its words quote the URL, which may hold a password
		return errors.New("is not a URL")
	case u.Scheme != "https" || u.Hostname() == "":
		return errors.New("must begin with https:// and name a host")
	case u.User != nil || u.Fragment != "":
		return errors.New("must not hold a user, a password or a fragment")
	}
	return nil
}

// Fetch gets the document, of at most identity.MaxKeySet bytes.
func (c *Client) Fetch(ctx context.Context) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.url, nil)
	if err != nil {
		return nil, fmt.Errorf("jwks: %w", err)
	}
	req.Header.Set("Accept", "application/jwk-set+json, application/json")
	req.Header.Set("User-Agent", "plumbline")
	res, err := c.http.Do(req)
	if err != nil {
		return nil, fmt.Errorf("jwks: %w", err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("jwks: the issuer answered with status %d", res.StatusCode)
	}
	data, err := io.ReadAll(io.LimitReader(res.Body, identity.MaxKeySet+1))
	if err == nil {
		err = ctx.Err() // a server that sees the connection go may still end its answer in order
	}
	switch {
	case err != nil:
		return nil, fmt.Errorf("jwks: reading the key set: %w", err)
	case len(data) > identity.MaxKeySet:
		return nil, fmt.Errorf("jwks: the key set is larger than %d bytes", identity.MaxKeySet)
	}
	return data, nil
}

// errPrivate says that a name led to an address that Plumbline does not call unasked.
var errPrivate = errors.New("the address is not one of the public Internet (allow_private_addresses lets it be)")

// publicOnly is asked for each address that a dial tries, when the name is resolved: what was looked up before could have
// changed since.
func publicOnly(_, address string, _ syscall.RawConn) error {
	at, err := netip.ParseAddrPort(address)
	if err != nil || !isPublic(at.Addr()) {
		return errPrivate
	}
	return nil
}

// special are the networks that net/netip does not tell as special and that are no part of the public Internet, or hide
// another address inside (IANA, special-purpose address registries).
var special = func() (all []netip.Prefix) {
	for _, s := range []string{
		"0.0.0.0/8", "100.64.0.0/10", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "198.18.0.0/15", "198.51.100.0/24",
		"203.0.113.0/24", "240.0.0.0/4",
		"::/96", "64:ff9b::/96", "64:ff9b:1::/48", "100::/64", "2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20", "fec0::/10",
	} {
		all = append(all, netip.MustParsePrefix(s))
	}
	return all
}()

func isPublic(a netip.Addr) bool {
	a = a.Unmap().WithZone("")
	if !a.IsGlobalUnicast() || a.IsPrivate() {
		return false
	}
	for _, p := range special {
		if p.Contains(a) {
			return false
		}
	}
	return true
}
