package jwks

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/plumbline/plumbline/internal/testkit"
)

// issuer stands in for a provider: what it publishes, whether it can be reached, and how often it was asked.
type issuer struct {
	mu       sync.Mutex
	document string
	down     error
	fetches  []time.Time
}

func (i *issuer) fetch(context.Context) ([]byte, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.fetches = append(i.fetches, time.Now())
	return []byte(i.document), i.down
}

// publish sets the keys that are published from now on.
func (i *issuer) publish(kids ...string) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.document = documentOf(kids...)
}

func (i *issuer) fail(err error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.down = err
}

func (i *issuer) count() int {
	i.mu.Lock()
	defer i.mu.Unlock()
	return len(i.fetches)
}

func documentOf(kids ...string) string {
	keys := []map[string]string{}
	for _, kid := range kids {
		seed := bytes.Repeat([]byte(kid), 32)[:32]
		public := ed25519.NewKeyFromSeed(seed).Public().(ed25519.PublicKey)
		keys = append(keys, map[string]string{"kty": "OKP", "crv": "Ed25519", "kid": kid, "x": base64.RawURLEncoding.EncodeToString(public)})
	}
	data, _ := json.Marshal(map[string]any{"keys": keys})
	return string(data)
}

// run starts a source in a bubble. Its log is what the function gives.
func run(t *testing.T, i *issuer, change func(*Options)) (*Source, func() string) {
	t.Helper()
	var log testkit.Buffer
	o := Options{
		Issuer: "https://idp.test", URL: "https://idp.test/keys", Algorithms: []string{"EdDSA"}, Fetch: i.fetch,
		Now: time.Now, Log: slog.New(slog.NewTextHandler(&log, nil)),
	}
	if change != nil {
		change(&o)
	}
	s, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("Run ended with %v", err)
		}
	})
	<-s.Tried()
	return s, log.String
}

func has(s *Source, kid string) bool { _, ok := s.Keys().Key(kid); return ok }

// pass lets time go by in a bubble.
func pass(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

func TestRotationIsSeen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i := &issuer{document: documentOf("a")}
		s, _ := run(t, i, nil)
		if !has(s, "a") {
			t.Fatal("the first key is not in force")
		}
		i.publish("b")
		// Even after somebody used up what may be asked at once.
		for n := range 1000 {
			s.Missing(fmt.Sprint("forged", n))
		}
		synctest.Wait()
		i.publish("c")
		asked := time.Now()
		s.Missing("c")
		for !has(s, "c") && time.Since(asked) < time.Minute {
			pass(100 * time.Millisecond)
		}
		if took := time.Since(asked); took > 10*time.Second {
			t.Errorf("a new key was seen after %v, more than 10s", took)
		}
		if has(s, "a") || has(s, "b") {
			t.Error("a key that was removed is still in force")
		}
	})
}

func TestRefreshByItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i := &issuer{document: documentOf("a")}
		s, _ := run(t, i, nil)
		i.publish("b")
		pass(6 * time.Minute)
		if has(s, "a") || !has(s, "b") {
			t.Error("after six minutes the keys are not the new ones")
		}
		pass(10 * time.Hour)
		for n := range len(i.fetches) - 1 {
			if between := i.fetches[n+1].Sub(i.fetches[n]); between < 4*time.Minute || between > 6*time.Minute {
				t.Errorf("%v between two fetches, not 5m ± 20 %%", between)
			}
		}
	})
}

func TestSameDocumentKeepsTheSet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i := &issuer{document: documentOf("a")}
		s, _ := run(t, i, nil)
		before := s.Keys()
		pass(time.Hour)
		if s.Keys() != before {
			t.Error("the same document makes what was verified be verified again")
		}
	})
}

// 10,000 made-up kids a second for ten minutes.
func TestFloodOfForgedKids(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i := &issuer{document: documentOf("a")}
		s, _ := run(t, i, nil)
		n := 0
		for range 600 {
			for range 10_000 {
				s.Missing(fmt.Sprint("forged", n))
				n++
			}
			pass(time.Second)
		}
		for from := range i.fetches {
			within := 0
			for _, at := range i.fetches[from:] {
				if at.Sub(i.fetches[from]) < time.Minute {
					within++
				}
			}
			if within > 6 {
				t.Fatalf("%d fetches in the minute from %v", within, i.fetches[from])
			}
		}
		if len(i.fetches) < 55 {
			t.Errorf("%d fetches in ten minutes: a new key would not be seen", len(i.fetches))
		}
		if s.mu.Lock(); len(s.missing) > maxMissings {
			t.Errorf("%d kids are remembered", len(s.missing))
		}
		s.mu.Unlock()
	})
}

func TestOneWrongKidAsksOnceAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i := &issuer{document: documentOf("a")}
		s, _ := run(t, i, nil)
		before := i.count()
		for range 120 {
			s.Missing("stale")
			pass(time.Second)
		}
		if n := i.count() - before; n > 3 { // two for the kid, one of the source's own
			t.Errorf("%d fetches in two minutes", n)
		}
	})
}

func TestOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var confirmed time.Time
		i := &issuer{document: documentOf("a")}
		s, log := run(t, i, func(o *Options) { o.OnSuccess = func(at time.Time) { confirmed = at } })
		last := confirmed
		i.fail(errors.New("connection refused"))
		pass(14 * time.Minute)
		if strings.Contains(log(), "for 15 minutes") {
			t.Error("told too early")
		}
		for range 24*60 - 14 {
			if !has(s, "a") {
				t.Fatalf("the keys are gone after %v", time.Since(last))
			}
			pass(time.Minute)
		}
		if strings.Count(log(), "for 15 minutes") != 1 {
			t.Errorf("the outage is not told once:\n%s", log())
		}
		if confirmed != last {
			t.Error("an outage counts as a success")
		}
		pass(15 * time.Minute)
		if has(s, "a") {
			t.Error("keys are believed after more than 24 hours")
		}
		if strings.Count(log(), "too old to be believed") != 1 {
			t.Errorf("the end is not told once:\n%s", log())
		}
		i.fail(nil)
		pass(6 * time.Minute)
		if !has(s, "a") || !strings.Contains(log(), "can be fetched again") {
			t.Errorf("the keys do not come back:\n%s", log())
		}
	})
}

func TestBadDocumentChangesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i := &issuer{document: documentOf("a")}
		s, _ := run(t, i, nil)
		for _, bad := range []string{
			"", "<html>", `{"error":"unavailable"}`, `{"keys":null}`, `{"keys":[{"kty":"oct","kid":"b","k":"AA"}]}`,
			strings.Replace(documentOf("b", "c"), `"kid":"c"`, `"kid":"b"`, 1),
		} {
			i.mu.Lock()
			i.document = bad
			i.mu.Unlock()
			s.Missing(bad)
			pass(time.Minute)
			if !has(s, "a") || has(s, "b") {
				t.Errorf("%q changed the keys", bad)
			}
		}
		i.publish()
		pass(6 * time.Minute)
		if has(s, "a") {
			t.Error("an issuer cannot withdraw its last key")
		}
	})
}

func TestRestartInAnOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := SnapshotPath(t.TempDir(), "https://idp.test")
		kept := func(o *Options) { o.Snapshot = path }
		i := &issuer{document: documentOf("a")}
		run(t, i, kept)
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
			t.Fatalf("snapshot: %v %v", info, err)
		}
		i.fail(errors.New("down"))
		pass(23 * time.Hour)
		again, _ := run(t, i, kept)
		if !has(again, "a") {
			t.Error("the keys did not outlive the restart")
		}
		pass(61*time.Minute + refreshEvery)
		if has(again, "a") {
			t.Error("the restart made the keys good for longer")
		}
		if late, _ := run(t, i, kept); has(late, "a") {
			t.Error("a snapshot that is too old is taken over")
		}
	})
}

func TestSnapshotIsHostile(t *testing.T) {
	now := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	good := snapshot{Issuer: "https://idp.test", URL: "https://idp.test/keys", Fetched: now.Add(-time.Hour), Document: documentOf("a")}
	change := func(edit func(*snapshot)) string {
		c := good
		edit(&c)
		data, _ := json.Marshal(c)
		return string(data)
	}
	for name, c := range map[string]struct {
		file string
		want bool
	}{
		"good":                 {change(func(*snapshot) {}), true},
		"of another issuer":    {change(func(s *snapshot) { s.Issuer = "https://evil.test" }), false},
		"of another address":   {change(func(s *snapshot) { s.URL = "https://evil.test/keys" }), false},
		"made in the future":   {change(func(s *snapshot) { s.Fetched = now.Add(time.Hour) }), false},
		"too old":              {change(func(s *snapshot) { s.Fetched = now.Add(-25 * time.Hour) }), false},
		"without a time":       {change(func(s *snapshot) { s.Fetched = time.Time{} }), false},
		"with a symmetric key": {change(func(s *snapshot) { s.Document = `{"keys":[{"kty":"oct","kid":"a","k":"AA"}]}` }), false},
		"not a key set":        {change(func(s *snapshot) { s.Document = "{}" }), false},
		"empty":                {"", false},
		"cut short":            {change(func(*snapshot) {})[:40], false},
		"with more":            {strings.TrimSuffix(change(func(*snapshot) {}), "}") + `,"x":1}`, false},
		"a member twice":       {strings.TrimSuffix(change(func(*snapshot) {}), "}") + `,"issuer":"https://idp.test"}`, false},
		"huge":                 {change(func(*snapshot) {}) + strings.Repeat(" ", maxSnapshot), false},
	} {
		path := filepath.Join(t.TempDir(), "snapshot")
		if err := os.WriteFile(path, []byte(c.file), 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := New(Options{
			Issuer: good.Issuer, URL: good.URL, Algorithms: []string{"EdDSA"}, Snapshot: path,
			Fetch: (&issuer{}).fetch, Now: func() time.Time { return now }, Log: slog.New(slog.DiscardHandler),
		})
		if err != nil {
			t.Fatal(err)
		}
		if has(s, "a") != c.want {
			t.Errorf("%s: keys in force: %v", name, !c.want)
		}
	}
}

func FuzzSnapshot(f *testing.F) {
	now := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	data, _ := json.Marshal(snapshot{"https://idp.test", "https://idp.test/keys", now, documentOf("a")})
	f.Add(data)
	f.Add([]byte(`{}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := New(Options{
			Issuer: "https://idp.test", URL: "https://idp.test/keys", Algorithms: []string{"EdDSA"},
			Fetch: (&issuer{}).fetch, Now: func() time.Time { return now }, Log: slog.New(slog.DiscardHandler),
		})
		if err != nil {
			t.Fatal(err)
		}
		if s.takeSnapshot(data) != nil && s.Keys().Len() > 0 {
			t.Error("keys of a snapshot that is refused are in force")
		}
		if age := now.Sub(s.confirmed()); s.Keys().Len() > 0 && (age < -clockSlack || age > maxStale) {
			t.Errorf("keys of an age of %v are in force", age)
		}
	})
}

func TestBudget(t *testing.T) {
	at := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	var b budget
	var got []string
	for now := at; now.Before(at.Add(100 * time.Second)); now = now.Add(time.Second) {
		for b.wait(now) == 0 {
			b.spend(now)
			got = append(got, now.Sub(at).String())
		}
	}
	if want := "0s 0s 10s 20s 30s 40s 1m0s 1m10s 1m20s 1m30s"; strings.Join(got, " ") != want {
		t.Errorf("fetches at %v, want %s", got, want)
	}
}

func TestNewRefuses(t *testing.T) {
	good := Options{
		Issuer: "i", URL: "u", Algorithms: []string{"ES256"}, Fetch: (&issuer{}).fetch, Now: time.Now, Log: slog.New(slog.DiscardHandler),
	}
	for name, change := range map[string]func(*Options){
		"no issuer": func(o *Options) { o.Issuer = "" }, "no URL": func(o *Options) { o.URL = "" },
		"no algorithms": func(o *Options) { o.Algorithms = nil }, "no fetch": func(o *Options) { o.Fetch = nil },
		"no clock": func(o *Options) { o.Now = nil }, "no log": func(o *Options) { o.Log = nil },
	} {
		o := good
		change(&o)
		if _, err := New(o); err == nil {
			t.Errorf("%s is accepted", name)
		}
	}
}
