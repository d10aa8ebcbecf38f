package storetest

import (
	"time"

	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/quota"
	"github.com/plumbline/plumbline/internal/store"
)

// made is when the objects of the suite were made, to the microsecond that stores keep.
var made = time.Date(2026, 2, 28, 23, 59, 59, 999_999_000, time.UTC)

// never is when what must not expire during a test does.
var never = made.AddDate(1000, 0, 0)

// hostile is a text that breaks careless quoting, escaping and comparing.
const hostile = `Ĳ ß 漢字 e` + "\u0301" + ` 👩‍💻 ' " \ % _ ; -- <b> ${x} ?1 :a "` + "\u2028"

// objects is a set with every field of every kind in use, as a store gives it back.
func objects() store.Objects {
	return store.Objects{
		Teams: []core.Team{{ID: "blue", Name: hostile, Created: made}, {ID: "red", Created: made}},
		Users: []core.User{
			{ID: "ann@example.com", Name: hostile, Team: "red", Blocked: true, Created: made},
			{ID: "ben", Created: made.Add(time.Microsecond)},
		},
		Apps: []core.App{{ID: "helpdesk", Name: hostile, Team: "blue", Created: made}, {ID: "ide", Created: made}},
		Tasks: []core.Task{
			{
				ID: "billing", Title: hostile, Description: "Two\nlines.\t" + hostile, Topics: []string{"invoices", hostile},
				Examples: []string{"[]", "null", "a\nb"}, OutOfScope: []string{hostile, "c\nd"}, Users: []string{"ann@example.com", "ben"}, Teams: []string{"blue", "red"}, Created: made,
			},
			{ID: "idle", Title: "Nothing", Created: made},
		},
		Limits: []quota.Limit{
			{ID: "all", Scope: quota.ScopeEveryone, Dimension: quota.DimensionConcurrency, Window: quota.WindowNone, Value: 8, Created: made},
			{
				ID: "app", Scope: quota.ScopeApp, Subject: "ide", Model: "gpt-*", Dimension: quota.DimensionCost, Window: quota.WindowMonth,
				Value: quota.MaxValue, Zone: "Europe/Berlin", Enforcement: quota.EnforceObserve,
				Unreachable: quota.UnreachableOpen, Created: made,
			},
			{ID: "each", Scope: quota.ScopeUser, Dimension: quota.DimensionRequests, Window: quota.WindowMinute, Enforcement: quota.EnforceSoft, Created: made},
			{ID: "team", Scope: quota.ScopeTeam, Subject: "red", Dimension: quota.DimensionTokens, Window: quota.WindowDay, Value: 1, Enforcement: quota.EnforceHard, Created: made},
			{ID: "user", Scope: quota.ScopeUser, Subject: "ann@example.com", Dimension: quota.DimensionTokens, Window: quota.WindowWeek, Value: 1, Created: made},
		},
		Keys: []core.AppKey{
			{ID: "key-1", App: "helpdesk", User: "ben", Hash: hash(0x00, 0xff, '\''), Hint: "a1b2", Created: made, Expires: made.Add(time.Hour), Revoked: made.Add(time.Minute)},
			{ID: "key-2", App: "ide", Hash: hash(0x27), Hint: "zzzz", Created: made},
		},
		Revocations: []core.Revocation{
			{ID: "rev-1", TokenID: "018f3c1e-" + hostile, Created: made, Expires: never},
			{ID: "rev-1s", Session: hostile, Created: made, Expires: never},
			{ID: "rev-2", Subject: "ann@example.com", IssuedBefore: made, Created: made, Expires: never},
		},
		SigningKeys: []core.SigningKey{ // B comes before a, as bytes
			{ID: "2026-B_z", Alg: "EdDSA", Public: []byte{0, 1, 0xff}, Private: []byte{0xff, 0, 'x'}, Created: made},
			{ID: "2026-a", Alg: "ES256", Public: []byte{1}, Private: []byte{2}, Created: made, Retired: made.Add(time.Hour)},
			{ID: "2026-b", Alg: "ES256", Public: []byte{1}, Created: made, Retired: made.Add(time.Hour)}, // its secret is thrown away
		},
		Calibrations: []core.Calibration{
			{
				ID: "cal-1", Model: "aligned-1", Created: made, Demoted: made.Add(time.Hour),
				Tasks: []core.CalibratedTask{{Task: "billing", Text: "0a1b", Scores: []float64{0, 5e-324, 0.1 + 0.2, 1}}, {Task: "idle", Text: "ff", Scores: []float64{0.5}}},
			},
			{ID: "cal-2", Model: "aligned-1", Created: made, Tasks: []core.CalibratedTask{{Task: "idle", Text: "ff", Scores: []float64{0.25}}}},
		},
		SystemPrompts: []core.SystemPrompt{
			{ID: "sp-1", App: "helpdesk", Label: hostile, By: "cli:ann", Pieces: []core.PromptPiece{{Bytes: 20, Probe: 1<<32 - 1, Sum: hash(0, 0xff)}, {Sum: hash(1)}}, Created: made},
			{ID: "sp-2", App: "ide", Label: "main", By: "cli:ben", Pieces: []core.PromptPiece{{Bytes: 16, Sum: hash(2)}}, Created: made},
		},
	}
}

func hash(start ...byte) (h [32]byte) {
	copy(h[:], start)
	h[31] = 1
	return h
}

func team(id string) core.Team { return core.Team{ID: id, Created: made} }

func user(id, team string) core.User { return core.User{ID: id, Team: team, Created: made} }

func teamID(t core.Team) string             { return t.ID }
func userID(u core.User) string             { return u.ID }
func appID(a core.App) string               { return a.ID }
func taskID(t core.Task) string             { return t.ID }
func limitID(l quota.Limit) string          { return l.ID }
func keyID(k core.AppKey) string            { return k.ID }
func revocationID(r core.Revocation) string { return r.ID }
func tokenID(t core.IssuedToken) string     { return t.ID }
func signingKeyID(k core.SigningKey) string { return k.ID }
