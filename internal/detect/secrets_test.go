package detect_test

import (
	"bytes"
	"encoding/json"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/detect"
	"github.com/plumbline/plumbline/internal/detect/detecttest"
	"github.com/plumbline/plumbline/internal/identity"
	"github.com/plumbline/plumbline/internal/testkit"
)

// said is a prompt of one user message.
func said(text string) core.Prompt {
	return core.Prompt{Parts: []core.Part{{Role: core.RoleUser, Kind: core.KindText, Text: text}}}
}

func kinds(list []core.Sighting) (out []string) {
	for _, s := range list {
		out = append(out, s.Kind)
	}
	return out
}

// contexts are the ways in which a secret stands in prompts.
var contexts = []struct {
	name  string
	write func(secret string) string
}{
	{"alone", func(s string) string { return s }},
	{"text", func(s string) string { return "Why does this fail? I use " + s + " as I was told to." }},
	{"end of a sentence", func(s string) string { return "The old one was " + s + ".\nThe new one I do not know." }},
	{"JSON", func(s string) string { return `{"name": "deploy", "credential": ` + quoted(s) + `, "retries": 3}` }},
	{"JSON in JSON", func(s string) string { return `{"arguments": ` + quoted(`{"credential":`+quoted(s)+"}\n") + `}` }},
	{"code", func(s string) string { return "const credential = `" + s + "`;\nconnect(credential);" }},
	{"YAML", func(s string) string {
		return "env:\n  - name: CREDENTIAL\n    value: " + s + "\n  - name: OTHER\n    value: 3\n"
	}},
	{"an address", func(s string) string { return "curl https://api.example.com/v1?key=" + s + "&page=2" }},
	{"after an escape", func(s string) string { return `log: "first line\n` + s + `\nlast line"` }},
	{"split by a line", func(s string) string { return "use " + split(s, "\n") + "\nfor it" }},
	{"split and indented", func(s string) string { return "use\n    " + split(s, "\r\n    ") + "\nfor it" }},
	{"split in JSON", func(s string) string { return `{"credential": "` + split(s, `\n`) + `"}` }},
	{"split in code", func(s string) string { return `credential = "` + split(s, "\" +\n    \"") + `"` }},
	{"split by quoting", func(s string) string { return "> use " + split(s, "\n> ") + "\n> for it" }},
	{"split in the shell", func(s string) string { return "export CREDENTIAL=" + split(s, "\\\n") + "\necho" }},
}

// split puts something into the midst of the second half of a text.
func split(s, with string) string {
	at := len(s) * 5 / 8
	return s[:at] + with + s[at:]
}

func quoted(s string) string {
	b, _ := json.Marshal(s)
	return string(b)
}

// except are the ways of writing, by how their names begin, in which a format is not found: what stands before the literal
// that a format is known by is looked for in one piece, formats that are a line of a language are found in that language, and
// numbers below one another are a column more often than one number.
var except = map[string][]string{
	"payment_card":   {"split"},
	"iban":           {"split"},
	"mailchimp_key":  {"split"},
	"maxmind_key":    {"split"},
	"sidekiq_url":    {"split"},
	"nuget_password": {"split", "JSON"},
	"freemius_key":   {"split", "JSON"},
}

func excepted(kind, context string) bool {
	return slices.ContainsFunc(except[kind], func(name string) bool { return strings.HasPrefix(context, name) })
}

// TestSecretsAreFoundWhereverTheyStand is the promise for each format, in each way of writing it.
func TestSecretsAreFoundWhereverTheyStand(t *testing.T) {
	for seed := range uint64(5) {
		for _, e := range detecttest.Examples(seed) {
			for _, c := range contexts {
				if excepted(e.Kind, c.name) {
					continue
				}
				text := c.write(e.Text)
				if got := kinds(detect.Prompt(said(text)).Secrets); !slices.Contains(got, e.Kind) {
					t.Errorf("%s (%s), %s: found %v in %q", e.Kind, e.Rule, c.name, got, text)
				}
			}
		}
	}
}

// unverifiable are the rules of gitleaks for credentials that have no form of their own, only a name nearby, and the few that
// are no secret in a prompt.
var unverifiable = []string{
	"adafruit-api-key", "adobe-client-id", "airtable-api-key", "algolia-api-key", "alibaba-secret-key", "asana-client-id",
	"asana-client-secret", "beamer-api-token", "bitbucket-client-id", "bitbucket-client-secret", "bittrex-access-key",
	"bittrex-secret-key", "cisco-meraki-api-key", "cloudflare-api-key", "cloudflare-global-api-key", "codecov-access-token",
	"cohere-api-token", "coinbase-access-token", "confluent-access-token", "confluent-secret-key", "contentful-delivery-api-token",
	"curl-auth-header", "curl-auth-user", "datadog-access-token", "discord-api-token", "discord-client-id", "discord-client-secret",
	"droneci-access-token", "dropbox-api-token", "dropbox-long-lived-api-token", "etsy-access-token", "facebook-secret",
	"fastly-api-token", "finicity-api-token", "finicity-client-secret", "finnhub-access-token", "flickr-access-token",
	"freshbooks-access-token", "generic-api-key", "gitter-access-token", "gocardless-api-token", "hashicorp-tf-password",
	"heroku-api-key", "hubspot-api-key", "intercom-api-key", "jfrog-api-key", "jfrog-identity-token", "jwt-base64",
	"kraken-access-token", "kubernetes-secret-yaml", "kucoin-access-token", "kucoin-secret-key", "linear-client-secret",
	"linkedin-client-id", "linkedin-client-secret", "lob-pub-api-key", "looker-client-id", "looker-client-secret",
	"mailgun-pub-key", "mailgun-signing-key", "mattermost-access-token", "messagebird-api-token", "messagebird-client-id",
	"netlify-access-token", "new-relic-user-api-id", "nytimes-access-token", "okta-access-token", "pkcs12-file", "plaid-client-id",
	"plaid-secret-key", "privateai-api-token", "rapidapi-access-token", "sendbird-access-id", "sendbird-access-token",
	"sentry-access-token", "sidekiq-secret", "snyk-api-token", "squarespace-access-token", "sumologic-access-id",
	"sumologic-access-token", "travisci-access-token", "twitch-api-token", "twitter-access-secret", "twitter-access-token",
	"twitter-api-key", "twitter-api-secret", "yandex-access-token", "yandex-aws-access-token", "zendesk-secret-key",
}

// TestEveryFormatOfGitleaks: each rule of that list has a made-up example that its own expression takes, or is one that cannot
// be told by its form.
func TestEveryFormatOfGitleaks(t *testing.T) {
	rules := gitleaks(t)
	made := map[string][]string{}
	for _, e := range detecttest.Examples(7) {
		made[e.Rule] = append(made[e.Rule], e.Text)
	}
	for id, expression := range rules {
		examples := made[id]
		switch {
		case len(examples) == 0 && !slices.Contains(unverifiable, id):
			t.Errorf("%s: has neither an example nor a reason for having none", id)
		case len(examples) > 0 && slices.Contains(unverifiable, id):
			t.Errorf("%s is said to have no form, and has an example", id)
		}
		for _, text := range examples {
			if named := map[string]string{
				"telegram-bot-api-token": "telegram = ", "sonar-api-token": "sonar_token = ", "mailgun-private-api-token": "mailgun = ",
				"mailchimp-api-key": "mailchimp = ", "mapbox-api-token": "mapbox = ", "twitter-bearer-token": "twitter = ",
				"typeform-api-token": "typeform = ", "yandex-api-key": "yandex = ", "lob-api-key": "lob = ", "dropbox-short-lived-api-token": "dropbox = ",
				"launchdarkly-access-token": "launchdarkly = ", "plaid-api-token": "plaid = ", "atlassian-api-token": "atlassian = ",
				"defined-networking-api-token": "dnkey = ", "new-relic-insert-key": "new-relic = ", "new-relic-browser-api-token": "new-relic = ",
				"new-relic-user-api-key": "new-relic = ",
			}[id]; !expression.MatchString(named+`"`+text+`"`) && !expression.MatchString(named+text) && !expression.MatchString(text) {
				t.Errorf("%s does not take the example %q", id, text)
			}
		}
	}
	if len(rules) < 200 {
		t.Errorf("read %d rules, want 222", len(rules))
	}
}

// gitleaks reads the expressions of its rules, by id.
func gitleaks(t *testing.T) map[string]*regexp.Regexp {
	data, err := os.ReadFile(testkit.SharedData(t, "intent", "gitleaks", "gitleaks.toml"))
	if err != nil {
		t.Fatal(err)
	}
	rules := map[string]*regexp.Regexp{}
	for _, rule := range bytes.Split(data, []byte("[[rules]]"))[1:] {
		id := regexp.MustCompile(`(?m)^id = "(.*)"$`).FindSubmatch(rule)
		expression := regexp.MustCompile(`(?m)^regex = '''(.*)'''$`).FindSubmatch(rule)
		if id == nil || expression == nil {
			continue
		}
		rules[string(id[1])] = regexp.MustCompile(string(expression[1]))
	}
	return rules
}

// TestWhatIsNoSecret: the same looks without the checksum, placeholders, and ordinary text that comes near.
func TestWhatIsNoSecret(t *testing.T) {
	for _, text := range []string{
		"ghp_abcdefghijklmnopqrstuvwxyz0123456789",
		"ghp_aB3dE5gH7jK9mN1pQ3sT5vW7xY9zA1bC3dE5", // the checksum is wrong
		"npm_config_registry and npm_lifecycle_event",
		"AKIAIOSFODNN7EXAMPLE",
		"sk-ant-api03-" + strings.Repeat("x", 93) + "AA",
		"dop_v1_" + strings.Repeat("0", 64),
		"AKIA is how an access key id begins; AIza how one of Google does",
		"-----BEGIN PUBLIC KEY-----\nMFwwDQYJKoZIhvcNAQEBBQADSwAwSAJBAKj34GkxFhD90vcNLYLInFEX6Ppy1tPf\n-----END PUBLIC KEY-----",
		"-----BEGIN RSA PRIVATE KEY-----\n...\n-----END RSA PRIVATE KEY-----",
		"-----BEGIN PRIVATE KEY----- is how the file of a key begins, then come lines in base 64 of 64 characters each, and then its end",
		"eyJhbGciOiJIUzI1NiJ9 is the header of a token",
		"550e8400-e29b-41d4-a716-446655440000",
		"9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
		"4111 1111 1111 1112", "0000 0000 0000 0000",
		"DE89370400440532013001", "the year 2023-12-31 and the number 5105105105105105105",
		"int test_4b3c = live_update(sdk-1.2.3);",
	} {
		if got := detect.Prompt(said(text)).Secrets; len(got) > 0 {
			t.Errorf("%q is found to hold %v", text, got)
		}
	}
}

// TestOwnKeys: Plumbline's app keys are told by their checksum.
func TestOwnKeys(t *testing.T) {
	key, _, _, err := identity.NewAppKey()
	if err != nil {
		t.Fatal(err)
	}
	if got := kinds(detect.Prompt(said("OPENAI_API_KEY=" + key)).Secrets); !slices.Equal(got, []string{"plumbline_key"}) {
		t.Errorf("found %v", got)
	}
	other := byte('0')
	if key[20] == other {
		other = '1'
	}
	if got := kinds(detect.Prompt(said(key[:20] + string(other) + key[21:])).Secrets); len(got) > 0 {
		t.Errorf("found %v in a key that is mistyped", got)
	}
}

// TestKeysOfPGP: the lines that say how a key was made do not hide it.
func TestKeysOfPGP(t *testing.T) {
	key := exampleOf(t, "private_key")
	key = strings.ReplaceAll(key, "RSA PRIVATE KEY-----\n", "PGP PRIVATE KEY BLOCK-----\nVersion: GnuPG v2 (GNU/Linux)\n\n")
	if got := kinds(detect.Prompt(said(key)).Secrets); !slices.Equal(got, []string{"private_key"}) {
		t.Errorf("found %v", got)
	}
}

// TestKinds: what is found has a kind that is listed, since policies and metrics know no other.
func TestKinds(t *testing.T) {
	listed := detect.Kinds()
	for _, e := range detecttest.Examples(3) {
		if !slices.Contains(listed, e.Kind) {
			t.Errorf("%s is not listed", e.Kind)
		}
	}
	if !slices.IsSorted(listed) || len(slices.Compact(slices.Clone(listed))) != len(listed) {
		t.Error("the list is not sorted, or names one twice")
	}
}

// TestPlaces: a kind is told once, with the place where it was met first, and counted.
func TestPlaces(t *testing.T) {
	token := exampleOf(t, "github_token")
	found := detect.Prompt(core.Prompt{Parts: []core.Part{
		{Role: core.RoleSystem, Kind: core.KindText, Turn: 0, Text: "Be short."},
		{Role: core.RoleUser, Kind: core.KindText, Turn: 1, Text: "with " + token},
		{Role: core.RoleTool, Kind: core.KindText, Turn: 2, Text: token + " and " + token + " and " + exampleOf(t, "iban")},
		{Role: "invented", Kind: core.KindText, Turn: 3, Text: exampleOf(t, "jwt")},
		{Role: core.RoleUser, Kind: core.KindOpaque, Turn: 4, Text: exampleOf(t, "age_key")},
	}})
	want := []core.Sighting{
		{Kind: "github_token", Role: core.RoleUser, Turn: 1, Count: 3},
		{Kind: "iban", Role: core.RoleTool, Turn: 2, Count: 1},
		{Kind: "jwt", Role: "other", Turn: 3, Count: 1},
	}
	if !slices.Equal(found.Secrets, want) || found.Rules != detect.Rules {
		t.Errorf("found %+v under %q, want %+v", found.Secrets, found.Rules, want)
	}
	if nothing := detect.Prompt(said("Nothing to see.")); nothing.Any() || nothing.Rules != "" {
		t.Errorf("found %+v", nothing)
	}
}

// exampleOf is a made-up credential of a kind.
func exampleOf(t testing.TB, kind string) string {
	for _, e := range detecttest.Examples(11) {
		if e.Kind == kind {
			return e.Text
		}
	}
	t.Fatal("no example of " + kind)
	return ""
}
