package store

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode"

	"pgregory.net/rapid"

	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/quota"
)

func TestIDs(t *testing.T) {
	for id, valid := range map[string]bool{
		"a": true, "0": true, "ann.b-c_d@example.com": true, strings.Repeat("x", 128): true,
		"": false, strings.Repeat("x", 129): false, "Ann": false, "-a": false, ".a": false, "@a": false, "a b": false, "a/b": false,
		"a\n": false, "\na": false, "a\x00": false, "ä": false, "a:b": false, "a%": false, "аnn": false, // the first letter is Cyrillic
	} {
		err := ValidateTeam(core.Team{ID: id})
		if (err == nil) != valid || err != nil && !errors.Is(err, ErrInvalid) {
			t.Errorf("%q: %v, want valid: %v", id, err, valid)
		}
	}
}

// TestValidate breaks one thing at a time. What an error says must name the field.
func TestValidate(t *testing.T) {
	long := strings.Repeat("x", maxName+1)
	task := func(change func(*core.Task)) error {
		task := core.Task{
			ID: "t", Title: "T", Description: "Two\nlines\tof text", Topics: []string{"a"}, Examples: []string{"b\r\nc"},
			Users: []string{"ann"}, Teams: []string{"red"}, Created: noon,
		}
		change(&task)
		return ValidateTask(task)
	}
	limit := func(change func(*quota.Limit)) error {
		limit := quota.Limit{ID: "l", Scope: quota.ScopeUser, Dimension: quota.DimensionTokens, Window: quota.WindowDay, Value: 1, Zone: "Europe/Berlin"}
		change(&limit)
		return ValidateLimit(limit)
	}
	key := func(change func(*core.AppKey)) error {
		key := core.AppKey{ID: "k", App: "ide", User: "ann", Hash: [32]byte{1}, Hint: "abcd", Created: noon, Expires: noon}
		change(&key)
		return ValidateKey(key)
	}
	revocation := func(change func(*core.Revocation)) error {
		r := core.Revocation{ID: "r", Subject: "ann", IssuedBefore: noon, Created: noon, Expires: noon}
		change(&r)
		return ValidateRevocation(r)
	}
	signing := func(change func(*core.SigningKey)) error {
		k := core.SigningKey{ID: "A_z-1", Alg: "EdDSA", Public: []byte{1}, Private: []byte{2}, Created: noon}
		change(&k)
		return ValidateSigningKey(k)
	}
	for _, tt := range []struct {
		name  string
		err   error
		field string // empty for valid
	}{
		{"team", ValidateTeam(core.Team{ID: "red", Name: strings.Repeat("x", maxName), Created: noon}), ""},
		{"team's long name", ValidateTeam(core.Team{ID: "red", Name: long}), "name"},
		{"team's name of two lines", ValidateTeam(core.Team{ID: "red", Name: "a\nb"}), "name"},
		{"team's name turning round", ValidateTeam(core.Team{ID: "red", Name: "ann \u202enimda"}), "name"},
		{"team's name from the right", ValidateTeam(core.Team{ID: "red", Name: "צוות\u200f"}), ""},
		{"user", ValidateUser(core.User{ID: "ann", Name: "Zoë 漢字", Team: "red"}), ""},
		{"user's name not UTF-8", ValidateUser(core.User{ID: "ann", Name: "\xff"}), "name"},
		{"user's team", ValidateUser(core.User{ID: "ann", Team: "Red"}), "team"},
		{"user's creation far ahead", ValidateUser(core.User{ID: "ann", Created: time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)}), "created"},
		{"user's creation before 1970", ValidateUser(core.User{ID: "ann", Created: time.Unix(-1, 0)}), "created"},
		{"app", ValidateApp(core.App{ID: "ide"}), ""},
		{"app's team", ValidateApp(core.App{ID: "ide", Team: " "}), "team"},

		{"task", task(func(*core.Task) {}), ""},
		{"task without a title", task(func(t *core.Task) { t.Title = "" }), "title"},
		{"task's title of two lines", task(func(t *core.Task) { t.Title = "a\nb" }), "title"},
		{"task's long description", task(func(t *core.Task) { t.Description = strings.Repeat("x", maxText+1) }), "description"},
		{"task's description with an escape", task(func(t *core.Task) { t.Description = "a\x1b[2J" }), "description"},
		{"task's long topic", task(func(t *core.Task) { t.Topics = []string{long} }), "topic"},
		{"task's long example", task(func(t *core.Task) { t.Examples = []string{strings.Repeat("x", maxText+1)} }), "example"},
		{"task's many topics", task(func(t *core.Task) { t.Topics = make([]string, maxPhrases+1) }), "topics"},
		{"task's many examples", task(func(t *core.Task) { t.Examples = make([]string, maxPhrases+1) }), "examples"},
		{"task's long example of what it is not", task(func(t *core.Task) { t.OutOfScope = []string{strings.Repeat("x", maxText+1)} }), "out-of-scope"},
		{"task's many of these", task(func(t *core.Task) { t.OutOfScope = make([]string, maxPhrases+1) }), "out_of_scope"},
		{"task's example that is none", task(func(t *core.Task) {
			t.Examples, t.OutOfScope = []string{"Book a  flight"}, []string{"x", "book a\nFLIGHT"}
		}), "out_of_scope[1]"},
		{"task's user", task(func(t *core.Task) { t.Users = []string{""} }), "user"},
		{"task's team", task(func(t *core.Task) { t.Teams = []string{"a b"} }), "team"},

		{"limit", limit(func(*quota.Limit) {}), ""},
		{"limit's subject", limit(func(l *quota.Limit) { l.Subject = "Ann" }), "subject"},
		{"limit's model", limit(func(l *quota.Limit) { l.Model = "gpt\x00" }), "model"},
		{"limit's pattern", limit(func(l *quota.Limit) { l.Model = "[" }), "model"},
		{"limit's zone", limit(func(l *quota.Limit) { l.Zone = "Mars/Base" }), "zone"},
		{"limit of everyone with a subject", limit(func(l *quota.Limit) { l.Scope, l.Subject = quota.ScopeEveryone, "ann" }), "subject"},

		{"key", key(func(*core.AppKey) {}), ""},
		{"key without an app", key(func(k *core.AppKey) { k.App = "" }), "app"},
		{"key without a hash", key(func(k *core.AppKey) { k.Hash = [32]byte{} }), "hash"},
		{"key's user", key(func(k *core.AppKey) { k.User = "Ann" }), "user"},
		{"key's hint", key(func(k *core.AppKey) { k.Hint = long }), "hint"},
		// Stores keep no time as 0: such a key would never expire, such a revocation never hold.
		{"key that expired in 1970", key(func(k *core.AppKey) { k.Expires = time.Unix(0, 0) }), "expires"},
		{"key that expired a little later", key(func(k *core.AppKey) { k.Expires = time.Unix(0, 999) }), "expires"},
		{"key revoked in 1970", key(func(k *core.AppKey) { k.Revoked = time.Unix(0, 0) }), "revoked"},

		{"revocation", revocation(func(*core.Revocation) {}), ""},
		{"revocation of a token", revocation(func(r *core.Revocation) { r.Subject, r.IssuedBefore, r.TokenID = "", time.Time{}, "jti" }), ""},
		{"revocation of a session", revocation(func(r *core.Revocation) { r.Subject, r.IssuedBefore, r.Session = "", time.Time{}, "sid" }), ""},
		{"revocation of nothing", revocation(func(r *core.Revocation) { r.Subject = "" }), "a token, a session or a subject"},
		{"revocation of both", revocation(func(r *core.Revocation) { r.TokenID = "jti" }), "a token, a session or a subject"},
		{"revocation without a time", revocation(func(r *core.Revocation) { r.IssuedBefore = time.Time{} }), "issued_before"},
		{"revocation of 1970", revocation(func(r *core.Revocation) { r.IssuedBefore = time.Unix(0, 0) }), "issued_before"},
		{"revocation without an end", revocation(func(r *core.Revocation) { r.Expires = time.Time{} }), "expires"},

		{"signing key", signing(func(*core.SigningKey) {}), ""},
		{"signing key without an id", signing(func(k *core.SigningKey) { k.ID = "" }), "id"},
		{"signing key's id", signing(func(k *core.SigningKey) { k.ID = "a\r\nb" }), "id"},
		{"signing key without its private half", signing(func(k *core.SigningKey) { k.Private = nil }), "private"},
	} {
		switch {
		case tt.field == "" && tt.err != nil:
			t.Errorf("%s: %v", tt.name, tt.err)
		case tt.field != "" && (!errors.Is(tt.err, ErrInvalid) || !strings.Contains(tt.err.Error(), tt.field)):
			t.Errorf("%s: %v, want an error that names %s", tt.name, tt.err, tt.field)
		}
	}
}

func TestValidateTellsEverythingAtOnce(t *testing.T) {
	err := ValidateUser(core.User{ID: "Ann", Name: "\x00", Team: "Red"})
	want := `user "Ann" is not valid: id must begin with a-z or 0-9 and hold up to 128 of a-z, 0-9, '.', '_', '@', '-'; ` +
		`name holds the control character U+0000; remove it; team must begin with a-z or 0-9 and hold up to 128 of a-z, 0-9, '.', '_', '@', '-'`
	if err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
	err = ValidateLimit(quota.Limit{ID: "l-1"})
	if err == nil || strings.Contains(err.Error(), "\n") || strings.Count(err.Error(), "l-1") != 1 {
		t.Errorf("%v: want one line that names the limit once", err)
	}
	var o Objects
	for i := range 1000 {
		o.Users = append(o.Users, core.User{ID: fmt.Sprintf("User %d", i)})
	}
	o.Keys = []core.AppKey{{ID: "k"}}
	err = o.Validate()
	if !errors.Is(err, ErrInvalid) || strings.Count(err.Error(), "\n") != maxProblems || !strings.Contains(err.Error(), "981 more") {
		t.Errorf("1001 objects that are not valid: %v", err)
	}
}

// TestValidTextIsSafeToPrint: whatever the text, a valid name has no character that moves what is printed around it.
func TestValidTextIsSafeToPrint(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.OneOf(rapid.String(), rapid.StringOfN(rapid.RuneFrom(nil, unicode.Cc, unicode.Cf, unicode.Zl), 0, 4, -1)).Draw(t, "name")
		if ValidateTeam(core.Team{ID: "red", Name: name}) != nil {
			return
		}
		for _, r := range name {
			if r < ' ' || r >= 0x7f && r < 0xa0 || r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069 {
				t.Fatalf("%q is valid", name)
			}
		}
	})
}

func TestMicros(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		us := rapid.Int64Range(1, time.Date(latest, 12, 31, 0, 0, 0, 0, time.UTC).UnixMicro()).Draw(t, "us")
		at := FromMicros(us)
		if Micros(at) != us || at.Location() != time.UTC || Micros(at.Add(999)) != us {
			t.Fatalf("%d is %v is %d", us, at, Micros(at))
		}
	})
	if Micros(time.Time{}) != 0 || !FromMicros(0).IsZero() {
		t.Error("no time is not 0")
	}
}
