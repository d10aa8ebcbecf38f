package identity

import (
	"net/url"
	"strings"
	"testing"
)

func TestParseSPIFFE(t *testing.T) {
	for _, s := range []string{
		"spiffe://prod.example.com/ns/chat/sa/web", "spiffe://a/b", "spiffe://td_1-2.x/A.b_c-0",
		"spiffe://a/" + strings.Repeat("x", 2048-len("spiffe://a/")), "spiffe://" + strings.Repeat("d", 255) + "/x",
		"spiffe://a/...",
	} {
		if id, err := parseSPIFFE(s); err != nil || id.String() != s {
			t.Errorf("%q: %v, %v", s, id, err)
		}
	}
	for name, s := range map[string]string{
		"empty": "", "another scheme": "https://prod/ns", "the scheme in capitals": "SPIFFE://prod/ns", "no authority": "spiffe:/prod/ns",
		"an empty domain": "spiffe:///ns", "no path": "spiffe://prod", "an empty path": "spiffe://prod/", "a slash at the end": "spiffe://prod/ns/",
		"an empty segment": "spiffe://prod/ns//sa", "a dot": "spiffe://prod/./ns", "two dots": "spiffe://prod/ns/..",
		"a capital in the domain": "spiffe://Prod/ns", "a port": "spiffe://prod:443/ns", "a user": "spiffe://me@prod/ns",
		"a query": "spiffe://prod/ns?x=1", "a fragment": "spiffe://prod/ns#x", "a percent sign": "spiffe://prod/%6es",
		"a space": "spiffe://prod/n s", "a letter beyond ASCII": "spiffe://prod/nß", "a domain beyond ASCII": "spiffe://prød/ns",
		"a null": "spiffe://prod/ns\x00", "a line break": "spiffe://prod/ns\n", "two ids": "spiffe://prod/ns, spiffe://prod/other",
		"too long": "spiffe://a/" + strings.Repeat("x", 2048), "a long domain": "spiffe://" + strings.Repeat("d", 256) + "/x",
	} {
		if id, err := parseSPIFFE(s); err == nil {
			t.Errorf("%s: read as %v", name, id)
		}
	}
}

// An id that is read is the same URI for everybody else, and one that is written is read again as itself.
func FuzzParseSPIFFE(f *testing.F) {
	for _, s := range []string{
		"spiffe://prod.example.com/ns/chat/sa/web", "spiffe://prod", "spiffe://Prod/ns", "spiffe://prod:1/ns?x#y", "spiffe://prod/%2e%2e/x",
		"spiffe://prod/ns, spiffe://prod/other", "spiffe://a//b",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		id, err := parseSPIFFE(s)
		if err != nil {
			return
		}
		if id.String() != s || len(s) > maxSPIFFE {
			t.Fatalf("%q is read as %q", s, id)
		}
		u, err := url.Parse(s)
		if err != nil || u.Scheme != "spiffe" || u.Host != id.domain || u.EscapedPath() != "/"+strings.Join(id.segments, "/") ||
			u.User != nil || u.RawQuery != "" || u.Fragment != "" || u.Port() != "" {
			t.Fatalf("%q is another URI elsewhere: %+v, %v", s, u, err)
		}
	})
}

// Whatever a rule says, it gives an app or a user only to ids of its trust domain and length, and nothing but pieces of
// the rule and segments of the id.
func FuzzParseMeshRule(f *testing.F) {
	for _, s := range []string{
		"spiffe://prod/ns/{ns}/sa/{sa} app={ns}.{sa}", "spiffe://prod/ns/*/sa/web app=desk team=tools", "spiffe://corp/people/{user} user={user}",
		"spiffe://prod/ns app=", "spiffe://prod/{a}/{a} app={a}", "spiffe://prod/ns app={b}", "app=x",
	} {
		f.Add(s, "spiffe://prod/ns/chat/sa/web")
	}
	f.Fuzz(func(t *testing.T, rule, id string) {
		r, err := ParseMeshRule(rule)
		if err != nil {
			return
		}
		p, denied := (&Mesh{Rules: []MeshRule{r}}).peer(Evidence{Workload: id})
		if denied != nil || p.app == "" && p.user == "" && p.team == "" {
			return
		}
		read, err := parseSPIFFE(id)
		if err != nil || read.domain != r.domain || len(read.segments) != len(r.segments) {
			t.Fatalf("rule %q gives %+v to %q", rule, p, id)
		}
		if strings.ContainsAny(p.app+p.user+p.team, "{} ") {
			t.Fatalf("rule %q gives %+v", rule, p)
		}
	})
}
