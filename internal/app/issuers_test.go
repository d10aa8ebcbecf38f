package app

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"

	"github.com/plumbline/plumbline/internal/config"
	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/identity"
)

// howTo is the page that says how to trust each of the usual providers.
const howTo = "../../docs/how-to/identity-providers.md"

var section = regexp.MustCompile("(?s)\n## (\\w+)\n.*?```yaml\n(.*?)```")

// Every entry of the how-to takes a token of its provider: keys and claims in the shapes that the provider gives them.
func TestHowToTrustProviders(t *testing.T) {
	page, err := os.ReadFile(howTo)
	if err != nil {
		t.Fatal(err)
	}
	r := newRing(t)
	tested := 0
	for _, s := range section.FindAllSubmatch(page, -1) {
		name := string(s[1])
		tested++
		t.Run(name, func(t *testing.T) {
			archive, err := txtar.ParseFile(filepath.Join("testdata", "issuers", strings.ToLower(name)+".txtar"))
			if err != nil {
				t.Fatal(err)
			}
			files := map[string]string{}
			for _, f := range archive.Files {
				files[f.Name] = r.fill(string(f.Data))
			}
			got := r.call(t, entryOf(t, s[2]), files)
			var want core.Principal
			if err := json.Unmarshal([]byte(files["want.json"]), &want); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
	if cases, _ := filepath.Glob("testdata/issuers/*.txtar"); tested != len(cases) || tested < 7 {
		t.Errorf("%d providers in the how-to, %d cases", tested, len(cases))
	}
}

// entryOf reads the one entry of a configuration.
func entryOf(t *testing.T, file []byte) config.Issuer {
	t.Helper()
	c, _, err := config.Load(config.LoadOptions{Path: "config.yaml", ReadFile: func(string) ([]byte, error) { return file, nil }})
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Identity.Issuers) != 1 {
		t.Fatalf("%d entries", len(c.Identity.Issuers))
	}
	return c.Identity.Issuers[0]
}

// ring holds the keys that stand in for the providers'.
type ring struct {
	rsa, next *rsa.PrivateKey
	ec        *ecdsa.PrivateKey
	now       time.Time
}

func newRing(t *testing.T) *ring {
	t.Helper()
	first, err1 := rsa.GenerateKey(rand.Reader, 2048)
	next, err2 := rsa.GenerateKey(rand.Reader, 2048)
	ec, err3 := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err1 != nil || err2 != nil || err3 != nil {
		t.Fatal(err1, err2, err3)
	}
	return &ring{first, next, ec, time.Now()}
}

// fill puts keys and times in.
func (r *ring) fill(s string) string {
	point, err := r.ec.PublicKey.Bytes()
	if err != nil {
		panic(err) // the key was made here
	}
	return strings.NewReplacer(
		"{{n}}", encode(r.rsa.N.Bytes()), "{{n2}}", encode(r.next.N.Bytes()), "{{x}}", encode(point[1:33]), "{{y}}", encode(point[33:]),
		"{{iat}}", strconv.FormatInt(r.now.Unix(), 10), "{{exp}}", strconv.FormatInt(r.now.Add(time.Hour).Unix(), 10),
	).Replace(s)
}

// call gives who calls with the token of files under an entry, as a verifier with its keys sees it.
func (r *ring) call(t *testing.T, entry config.Issuer, files map[string]string) core.Principal {
	t.Helper()
	set, err := identity.ParseKeySet([]byte(files["jwks.json"]), algorithms(entry))
	if err != nil {
		t.Fatal(err)
	}
	trusted := trust(entry)
	trusted.Keys = func() *identity.KeySet { return set }
	v, err := identity.NewVerifier(identity.Options{
		Issuer: "plumbline", Audience: "plumbline", Issuers: []identity.Trust{trusted}, MaxLifetime: time.Hour, Now: func() time.Time { return r.now },
		Credentials: func() identity.Credentials { return everybody{} },
	})
	if err != nil {
		t.Fatal(err)
	}
	header, claims := strings.TrimSpace(files["header.json"]), strings.TrimSpace(files["claims.json"])
	session, denied := v.Authenticate(t.Context(), identity.Evidence{Authorization: []string{"Bearer " + r.sign(t, header, claims)}})
	if denied != nil {
		t.Fatalf("%v\nkeys: %+v", denied, set.Reports())
	}
	return session.Principal
}

func (r *ring) sign(t *testing.T, header, claims string) string {
	t.Helper()
	signed := encode([]byte(header)) + "." + encode([]byte(claims))
	sum := sha256.Sum256([]byte(signed))
	if strings.Contains(header, "RS256") {
		signature, err := rsa.SignPKCS1v15(rand.Reader, r.rsa, crypto.SHA256, sum[:])
		if err != nil {
			t.Fatal(err)
		}
		return signed + "." + encode(signature)
	}
	a, b, err := ecdsa.Sign(rand.Reader, r.ec, sum[:])
	if err != nil {
		t.Fatal(err)
	}
	signature := make([]byte, 64)
	a.FillBytes(signature[:32])
	b.FillBytes(signature[32:])
	return signed + "." + encode(signature)
}

func encode(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// everybody knows every user, one app and one team.
type everybody struct{}

func (everybody) AppKey([32]byte) (core.AppKey, bool)            { return core.AppKey{}, false }
func (everybody) SigningKey(string) (core.SigningKey, bool)      { return core.SigningKey{}, false }
func (everybody) Revoked(string, string, string, time.Time) bool { return false }
func (everybody) User(id string) (core.User, bool)               { return core.User{ID: id}, true }
func (everybody) App(id string) (core.App, bool) {
	return core.App{ID: id, Team: "support"}, id == "helpdesk"
}
func (everybody) Team(id string) (core.Team, bool) { return core.Team{ID: id}, id == "support" }
func (everybody) Generation() uint64               { return 1 }
