package store

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/quota"
)

// Bounds of objects, in bytes and entries.
const (
	maxName     = 256
	maxText     = 8 << 10
	maxPhrases  = 200
	maxAssigned = 10_000
	// maxProblems is how many objects of one document are complained about.
	maxProblems = 20
)

var idForm = regexp.MustCompile(`^[a-z0-9][a-z0-9._@-]{0,127}$`)

// latest is the last year that RFC 3339, and so the API and the audit, can write.
const latest = 9999

// Validate reports what is wrong with the objects themselves, ids that appear twice included. What they refer to may
// lie in the store, so that only the store can check it.
func (o Objects) Validate() error {
	var errs []error
	errs = gather(errs, o.Teams, "team", func(t core.Team) string { return t.ID }, ValidateTeam)
	errs = gather(errs, o.Users, "user", func(u core.User) string { return u.ID }, ValidateUser)
	errs = gather(errs, o.Apps, "app", func(a core.App) string { return a.ID }, ValidateApp)
	errs = gather(errs, o.Tasks, "task", func(t core.Task) string { return t.ID }, ValidateTask)
	errs = gather(errs, o.Limits, "limit", func(l quota.Limit) string { return l.ID }, ValidateLimit)
	errs = gather(errs, o.Keys, "key", func(k core.AppKey) string { return k.ID }, ValidateKey)
	errs = gather(errs, o.Revocations, "revocation", func(r core.Revocation) string { return r.ID }, ValidateRevocation)
	errs = gather(errs, o.SigningKeys, "signing-key", func(k core.SigningKey) string { return k.ID }, ValidateSigningKey)
	errs = gather(errs, o.Calibrations, "calibration", func(c core.Calibration) string { return c.ID }, ValidateCalibration)
	errs = gather(errs, o.SystemPrompts, "system-prompt", func(p core.SystemPrompt) string { return p.ID }, ValidateSystemPrompt)
	if n := len(errs) - maxProblems; n > 0 {
		errs = append(errs[:maxProblems], fmt.Errorf("and %d more like these: %w", n, ErrInvalid))
	}
	return errors.Join(errs...)
}

func gather[T any](errs []error, objects []T, kind string, id func(T) string, validate func(T) error) []error {
	seen := make(map[string]bool, len(objects))
	for _, o := range objects {
		if err := validate(o); err != nil {
			errs = append(errs, err)
		} else if seen[id(o)] {
			errs = append(errs, &ObjectError{Kind: kind, ID: id(o), Detail: "it appears twice; remove one of them", Err: ErrInvalid})
		}
		seen[id(o)] = true
	}
	return errs
}

// problems gathers what is wrong with one object.
type problems []error

func (p *problems) add(format string, args ...any) { *p = append(*p, fmt.Errorf(format, args...)) }

func (p *problems) id(what, id string) {
	if !idForm.MatchString(id) {
		p.add("%s must begin with a-z or 0-9 and hold up to 128 of a-z, 0-9, '.', '_', '@', '-'", what)
	}
}

func (p *problems) reference(what, id string) {
	if id != "" {
		p.id(what, id)
	}
}

// line checks a text of one line.
func (p *problems) line(what, s string) { p.text(what, s, maxName, "") }

// prose checks a text of any number of lines.
func (p *problems) prose(what, s string) { p.text(what, s, maxText, "\n\r\t") }

// text allows the control characters in controls only. Those that turn the direction of what follows are not allowed
// anywhere: they make a list of people read as what it is not.
func (p *problems) text(what, s string, most int, controls string) {
	switch {
	case len(s) > most:
		p.add("%s is longer than %d bytes", what, most)
	case !utf8.ValidString(s):
		p.add("%s is not UTF-8", what)
	default:
		for _, r := range s {
			if unicode.IsControl(r) && !strings.ContainsRune(controls, r) || unicode.Is(unicode.Bidi_Control, r) && r > '\u200f' {
				p.add("%s holds the control character %U; remove it", what, r)
				return
			}
		}
	}
}

// time checks a time that may be zero. 0 microseconds is how the stores keep none: an expiry in 1970 would never come.
func (p *problems) time(what string, t time.Time) {
	if !t.IsZero() && (t.Year() > latest || t.UnixMicro() <= 0) {
		p.add("%s must lie after 1970 and before %d", what, latest+1)
	}
}

func (p *problems) err(kind, id string) error {
	if len(*p) == 0 {
		return nil
	}
	words := make([]string, len(*p))
	for i, err := range *p {
		words[i] = err.Error()
	}
	return &ObjectError{Kind: kind, ID: id, Detail: strings.Join(words, "; "), Err: ErrInvalid}
}

// ValidateTeam reports all that is wrong with a team itself.
func ValidateTeam(t core.Team) error {
	var p problems
	p.id("id", t.ID)
	p.line("name", t.Name)
	p.time("created", t.Created)
	return p.err("team", t.ID)
}

// ValidateUser reports all that is wrong with a user itself.
func ValidateUser(u core.User) error {
	var p problems
	p.id("id", u.ID)
	p.line("name", u.Name)
	p.reference("team", u.Team)
	p.time("created", u.Created)
	return p.err("user", u.ID)
}

// ValidateApp reports all that is wrong with an app itself.
func ValidateApp(a core.App) error {
	var p problems
	p.id("id", a.ID)
	p.line("name", a.Name)
	p.reference("team", a.Team)
	p.time("created", a.Created)
	return p.err("app", a.ID)
}

// ValidateTask reports all that is wrong with a task itself.
func ValidateTask(t core.Task) error {
	var p problems
	p.id("id", t.ID)
	if t.Title == "" {
		p.add("title is missing: say what the work is called")
	}
	p.line("title", t.Title)
	p.prose("description", t.Description)
	for _, list := range []struct {
		what    string
		entries []string
		most    int
	}{
		{"topics", t.Topics, maxPhrases},
		{"examples", t.Examples, maxPhrases},
		{"out_of_scope", t.OutOfScope, maxPhrases},
		{"users", t.Users, maxAssigned},
		{"teams", t.Teams, maxAssigned},
	} {
		if len(list.entries) > list.most {
			p.add("%s has more than %d entries", list.what, list.most)
		}
	}
	for _, s := range t.Topics {
		p.line("a topic", s)
	}
	for _, s := range t.Examples {
		p.prose("an example", s)
	}
	in := map[string]bool{}
	for _, s := range t.Examples {
		in[plain(s)] = true
	}
	for i, s := range t.OutOfScope {
		p.prose("an out-of-scope example", s)
		if in[plain(s)] {
			p.add("out_of_scope[%d] is among the examples too: a prompt is in the scope of a task or out of it", i)
		}
	}
	for _, id := range t.Users {
		p.id("an assigned user", id)
	}
	for _, id := range t.Teams {
		p.id("an assigned team", id)
	}
	p.time("created", t.Created)
	return p.err("task", t.ID)
}

// plain is text without what does not make it another one: case and spacing.
func plain(text string) string { return strings.ToLower(strings.Join(strings.Fields(text), " ")) }

// ValidateLimit reports all that is wrong with a limit itself.
func ValidateLimit(l quota.Limit) error {
	var p problems
	p.id("id", l.ID)
	p.reference("subject", l.Subject)
	p.line("model", l.Model)
	p.time("created", l.Created)
	var each interface{ Unwrap() []error }
	if err := l.Validate(); errors.As(err, &each) { // without the words that name the limit again
		p = append(p, each.Unwrap()...)
	} else if err != nil {
		p = append(p, err)
	}
	return p.err("limit", l.ID)
}

// ValidateKey reports all that is wrong with an app key itself.
func ValidateKey(k core.AppKey) error {
	var p problems
	p.id("id", k.ID)
	p.id("app", k.App)
	p.reference("user", k.User)
	if k.Hash == [32]byte{} {
		p.add("hash is missing")
	}
	p.line("hint", k.Hint)
	p.time("created", k.Created)
	p.time("expires", k.Expires)
	p.time("revoked", k.Revoked)
	return p.err("key", k.ID)
}

// ValidateRevocation reports all that is wrong with a revocation itself.
func ValidateRevocation(r core.Revocation) error {
	var p problems
	p.id("id", r.ID)
	named := 0
	for _, what := range []string{r.TokenID, r.Session, r.Subject} {
		if what != "" {
			named++
		}
	}
	if named != 1 {
		p.add("it must name a token, a session or a subject, one of them")
	}
	if r.Subject != "" && r.IssuedBefore.IsZero() {
		p.add("issued_before is missing")
	}
	p.time("issued_before", r.IssuedBefore)
	p.time("created", r.Created)
	p.time("expires", r.Expires)
	p.line("token_id", r.TokenID)
	p.line("session", r.Session)
	p.line("subject", r.Subject)
	if r.Expires.IsZero() {
		p.add("expires is missing")
	}
	return p.err("revocation", r.ID)
}

// ValidateToken reports all that is wrong with what is kept of an issued token.
func ValidateToken(t core.IssuedToken) error {
	var p problems
	if t.ID == "" {
		p.add("id is missing")
	}
	p.line("id", t.ID)
	if t.User == "" && t.App == "" {
		p.add("it must be for a user or an app")
	}
	p.reference("user", t.User)
	p.reference("app", t.App)
	p.line("session", t.Session)
	p.time("created", t.Created)
	p.time("expires", t.Expires)
	if t.Expires.IsZero() {
		p.add("expires is missing")
	}
	return p.err("token", t.ID)
}

// ValidateSigningKey reports all that is wrong with a signing key itself.
func ValidateSigningKey(k core.SigningKey) error {
	var p problems
	if k.ID == "" || len(k.ID) > 128 {
		p.add("id must have 1 to 128 bytes")
	}
	p.line("id", k.ID)
	p.line("alg", k.Alg)
	p.time("created", k.Created)
	p.time("retired", k.Retired)
	if k.Alg == "" || len(k.Public) == 0 || len(k.Private) == 0 && k.Retired.IsZero() {
		p.add("alg, public and, unless it is retired, private must not be empty")
	}
	return p.err("signing-key", k.ID)
}

// Micros is a time as the stores keep it: microseconds since 1970 UTC, 0 for the zero time.
func Micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

// FromMicros is the time that Micros wrote.
func FromMicros(us int64) time.Time {
	if us == 0 {
		return time.Time{}
	}
	return time.UnixMicro(us).UTC()
}
