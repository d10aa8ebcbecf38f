package store

import (
	"errors"
	"fmt"
	"regexp"
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
)

var idForm = regexp.MustCompile(`^[a-z0-9][a-z0-9._@-]{0,127}$`)

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

func (p *problems) text(what, s string, most int) {
	switch {
	case len(s) > most:
		p.add("%s is longer than %d bytes", what, most)
	case !utf8.ValidString(s):
		p.add("%s is not UTF-8", what)
	default:
		for _, r := range s {
			if unicode.IsControl(r) && r != '\n' && r != '\t' {
				p.add("%s holds a control character", what)
				return
			}
		}
	}
}

func (p *problems) err(kind, id string) error {
	if len(*p) == 0 {
		return nil
	}
	return &ObjectError{Kind: kind, ID: id, Detail: errors.Join(*p...).Error(), Err: ErrInvalid}
}

// ValidateTeam reports all that is wrong with a team itself.
func ValidateTeam(t core.Team) error {
	var p problems
	p.id("id", t.ID)
	p.text("name", t.Name, maxName)
	return p.err("team", t.ID)
}

// ValidateUser reports all that is wrong with a user itself.
func ValidateUser(u core.User) error {
	var p problems
	p.id("id", u.ID)
	p.text("name", u.Name, maxName)
	p.reference("team", u.Team)
	return p.err("user", u.ID)
}

// ValidateApp reports all that is wrong with an app itself.
func ValidateApp(a core.App) error {
	var p problems
	p.id("id", a.ID)
	p.text("name", a.Name, maxName)
	p.reference("team", a.Team)
	return p.err("app", a.ID)
}

// ValidateTask reports all that is wrong with a task itself.
func ValidateTask(t core.Task) error {
	var p problems
	p.id("id", t.ID)
	if t.Title == "" {
		p.add("title is missing: say what the work is called")
	}
	p.text("title", t.Title, maxName)
	p.text("description", t.Description, maxText)
	for _, list := range []struct {
		what    string
		entries []string
		most    int
	}{{"topics", t.Topics, maxPhrases}, {"examples", t.Examples, maxPhrases}, {"users", t.Users, maxAssigned}, {"teams", t.Teams, maxAssigned}} {
		if len(list.entries) > list.most {
			p.add("%s has more than %d entries", list.what, list.most)
		}
	}
	for _, s := range t.Topics {
		p.text("a topic", s, maxName)
	}
	for _, s := range t.Examples {
		p.text("an example", s, maxText)
	}
	for _, id := range t.Users {
		p.id("an assigned user", id)
	}
	for _, id := range t.Teams {
		p.id("an assigned team", id)
	}
	return p.err("task", t.ID)
}

// ValidateLimit reports all that is wrong with a limit itself.
func ValidateLimit(l quota.Limit) error {
	var p problems
	p.id("id", l.ID)
	if err := l.Validate(); err != nil {
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
	return p.err("key", k.ID)
}

// ValidateRevocation reports all that is wrong with a revocation itself.
func ValidateRevocation(r core.Revocation) error {
	var p problems
	p.id("id", r.ID)
	if (r.TokenID == "") == (r.Subject == "") {
		p.add("it must name a token or a subject, one of them")
	}
	if r.Subject != "" && r.IssuedBefore.IsZero() {
		p.add("issued_before is missing")
	}
	p.text("token_id", r.TokenID, maxName)
	p.text("subject", r.Subject, maxName)
	if r.Expires.IsZero() {
		p.add("expires is missing")
	}
	return p.err("revocation", r.ID)
}

// ValidateSigningKey reports all that is wrong with a signing key itself.
func ValidateSigningKey(k core.SigningKey) error {
	var p problems
	if k.ID == "" || len(k.ID) > 128 {
		p.add("id must have 1 to 128 bytes")
	}
	p.text("id", k.ID, maxName)
	if k.Alg == "" || len(k.Public) == 0 || len(k.Private) == 0 {
		p.add("alg, public and private must not be empty")
	}
	return p.err("signing key", k.ID)
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
