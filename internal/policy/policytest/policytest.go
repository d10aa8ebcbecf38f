// Package policytest draws facts and policies for randomised tests of what is decided, recorded and replayed.
//
// Only tests import it.
package policytest

import (
	"math"
	"time"

	"pgregory.net/rapid"

	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/policy"
)

var (
	words   = rapid.SampledFrom([]string{"", "coding", "jailbreak", "job_search", "uncertain", "ü\u2028<&>\x00"})
	numbers = rapid.OneOf(
		rapid.Float64Range(0, 1),
		rapid.SampledFrom([]float64{0, 0.5, 0.7, 0.8, 0.95, 1, math.Copysign(0, -1), math.NaN(), math.Inf(1), math.Inf(-1), -1, 2}),
	)
	causes = rapid.SampledFrom([]core.Unscored{
		"", "", "", core.UnscoredLanguage, core.UnscoredOpaque, core.UnscoredEncoded,
		core.UnscoredTooShort, core.UnscoredNoTask, "other",
	})
)

// Facts draws facts of every kind, also such as no gate would gather: what is not a number, or of another version.
func Facts() *rapid.Generator[policy.Facts] { return rapid.Custom(drawFacts) }

func drawFacts(t *rapid.T) policy.Facts {
	f := policy.Facts{
		At:            time.UnixMicro(rapid.Int64Range(-1e15, 1e16).Draw(t, "at")),
		PolicyVersion: words.Draw(t, "policy version"),
		PriceVersion:  words.Draw(t, "price version"),
		Principal: core.Principal{
			User:   words.Draw(t, "user"),
			Team:   rapid.SampledFrom([]string{"", "billing", "closed", "other"}).Draw(t, "team"),
			App:    rapid.SampledFrom([]string{"", "crm", "other"}).Draw(t, "app"),
			Method: core.MethodToken,
		},
		Endpoint: words.Draw(t, "endpoint"),
		Model:    rapid.SampledFrom([]string{"", "gpt-4o", "gpt-4o-mini", "o3"}).Draw(t, "model"),
		Priced:   rapid.Bool().Draw(t, "priced"),
		Tasks:    rapid.SliceOfN(words, 0, 3).Draw(t, "tasks"),
		Intent: core.Intent{
			Label:      words.Draw(t, "label"),
			Confidence: numbers.Draw(t, "confidence"),
			Top: rapid.SliceOfN(rapid.Custom(func(t *rapid.T) core.LabelScore {
				return core.LabelScore{Label: words.Draw(t, "label"), P: numbers.Draw(t, "p")}
			}), 0, 3).Draw(t, "top"),
			Unscored: causes.Draw(t, "intent unscored"),
		},
		Deviation: core.Deviation{
			Score:      numbers.Draw(t, "score"),
			N:          rapid.IntRange(0, 5000).Draw(t, "n"),
			Calibrated: rapid.Bool().Draw(t, "calibrated"),
			Unscored:   causes.Draw(t, "deviation unscored"),
			Task:       words.Draw(t, "task"),
			Phrase:     words.Draw(t, "phrase"),
			Example:    rapid.IntRange(0, 300).Draw(t, "example"),
			OutOfScope: rapid.IntRange(0, 300).Draw(t, "out of scope"),
		},
		Opaque:        rapid.SliceOfN(rapid.SampledFrom([]string{"image/png", "audio/wav", "other"}), 0, 2).Draw(t, "opaque"),
		TurnsUnjudged: rapid.IntRange(-1, 300).Draw(t, "turns unjudged"),
		Found: core.Found{
			Secrets: rapid.SliceOfN(sightings("jwt", "iban", "other"), 0, 2).Draw(t, "secrets"),
			Attacks: rapid.SliceOfN(sightings("jailbreak", "hidden_text"), 0, 2).Draw(t, "attacks"),
		},
		Quota: policy.Quota{
			Outcome: rapid.SampledFrom([]policy.Outcome{
				policy.QuotaUnasked, policy.QuotaGranted, policy.QuotaSoft,
				policy.QuotaExhausted, "other",
			}).Draw(t, "outcome"),
			Limit:     words.Draw(t, "limit"),
			Dimension: rapid.SampledFrom([]string{"", "tokens", "concurrency"}).Draw(t, "dimension"),
			Window:    rapid.SampledFrom([]string{"", "minute", "day"}).Draw(t, "window"),
			Never:     rapid.Bool().Draw(t, "never"),
		},
	}
	if rapid.Bool().Draw(t, "with p") {
		p := rapid.OneOf(numbers, rapid.Float64Range(0, 0.02)).Draw(t, "p")
		f.Deviation.P = &p
	}
	f.Calibration = policy.Calibration{Version: words.Draw(t, "calibration"), Text: words.Draw(t, "text")}
	if f.Found.Any() {
		f.Found.Rules = words.Draw(t, "rules")
	} else {
		f.Found = core.Found{}
	}
	if rapid.Bool().Draw(t, "has p") {
		p := numbers.Draw(t, "p")
		f.Deviation.P = &p
	}
	return f
}

// sightings draws what was found, of these kinds.
func sightings(kinds ...string) *rapid.Generator[core.Sighting] {
	return rapid.Custom(func(t *rapid.T) core.Sighting {
		return core.Sighting{
			Kind:    rapid.SampledFrom(kinds).Draw(t, "kind"),
			Role:    core.Role(words.Draw(t, "role")),
			Turn:    rapid.IntRange(-1, 100).Draw(t, "turn"),
			Count:   rapid.IntRange(1, 9).Draw(t, "count"),
			Encoded: rapid.Bool().Draw(t, "encoded"),
		}
	})
}

// Policy draws a policy that says something about each of the facts.
func Policy() *rapid.Generator[*policy.Snapshot] { return rapid.Custom(drawPolicy) }

// Rules that read every fact there is for conditions, some of which cannot be answered for some facts.
const (
	someRules = `
  - {name: a, when: 'deviation.score > 0.6 && intent.confidence < 0.9 && time.hour < 12', then: warn, mode: enforce}
  - {name: b, when: 'tasks[1] == "coding" || secrets.exists(s, s == "jwt") || size(opaque) > 1', then: block, on_error: warn}
  - {name: c, when: 'user == "ü\u2028<&>\u0000" || model.startsWith("gpt") && !priced', then: block}
  - {name: d, when: 'time.date < "2001-01-01" || time.weekday in ["sunday"]', then: warn}`
	otherRules = `
  - {name: e, when: 'deviation.score / 0.3 > 2.0 || deviation.calibrated || deviation.task == "coding"', then: warn}
  - {name: p, when: 'deviation.p < 0.01 && deviation.n >= 299 || deviation.n == 0 && deviation.p != 1.0', then: warn, mode: enforce}
  - {name: f, when: 'time.minute % (time.minute - 30) == 1', then: block}
  - {name: g, when: 'team == "billing" && app != "crm" || method == "token" && endpoint.size() > 7', then: block, mode: enforce}
  - {name: h, when: 'intent.label == deviation.task || intent.unscored == deviation.unscored || "hidden_text" in attacks || opaque[0].contains("/")', then: warn}`
)

func drawPolicy(t *rapid.T) *policy.Snapshot {
	pick := func(name string, of ...string) string { return rapid.SampledFrom(of).Draw(t, name) }
	doc := "version: 1\nmode: " + pick("mode", "observe", "enforce") +
		"\nmodels: " + pick("models", "{}", "{teams: {billing: [gpt-*], closed: []}}", "{apps: {crm: ['*-mini']}}") +
		"\ndeviation:\n  " + pick("warn", "warn: 0.7", "warn: never", "warn: 0", "warn: 0.8") +
		"\n  " + pick("block", "block: never", "block: 0.8", "block: 0.95", "block: 1", "block: promised", "block: promised\n  promise: 5%") +
		"\n  enforce_uncalibrated: " + pick("enforce", "true", "false") +
		"\n  on_unscored: " + pick("unscored", "{}", "{encoded: block, no_task: warn}", "{opaque: allow}") +
		"\nsecrets: " + pick("secrets", "{}", "{mode: enforce, kinds: {jwt: block}}", "{mode: observe, default: block}", "{default: allow}") +
		"\nattacks: " + pick("attacks", "{}", "{mode: enforce, default: block, kinds: {jailbreak: warn}}", "{kinds: {hidden_text: block}}") +
		"\nendpoints: " + pick("endpoints", "{}", "{allow: [coding, 'j*']}", "{teams: {billing: ['*']}, apps: {crm: [jailbreak]}}") +
		"\ntimezone: " + pick("zone", "UTC", "Europe/Berlin", "Asia/Kolkata") +
		"\nrules: " + pick("rules", "[]", someRules, otherRules) +
		"\nintents: " + pick("intents", "{}", "{forbidden: [jailbreak], warn: [job_search]}", "{forbidden: [uncertain], min_confidence: 0}", "{allowed: [coding], mode: enforce}")
	s, err := policy.Parse("policy.yaml", []byte(doc))
	if err != nil {
		t.Fatal(err)
	}
	return s
}
