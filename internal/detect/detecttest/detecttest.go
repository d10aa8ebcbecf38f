// Package detecttest makes up credentials in the formats of their issuers, checksums included, for tests: none is one that
// anybody issued.
//
// Only tests import it.
package detecttest

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"strconv"
	"strings"
)

// Example is a made-up credential.
type Example struct {
	// Rule is the rule of gitleaks that has the same format, empty for none.
	Rule string
	// Kind is what package detect calls it.
	Kind string
	Text string
}

// Examples makes one credential of each format, other ones for each seed.
func Examples(seed uint64) []Example {
	g := generator{rand.New(rand.NewPCG(seed, 0))} //nolint:gosec // made-up credentials must come out the same for a seed
	out := make([]Example, 0, len(templates))
	for _, t := range templates {
		out = append(out, Example{Rule: t.rule, Kind: t.kind, Text: g.fill(t.text)})
	}
	return append(out, g.computed()...)
}

// generator draws credentials.
type generator struct{ *rand.Rand }

var alphabets = map[byte]string{
	'd': "0123456789", 'h': "0123456789abcdef", 'x': "0123456789abcdefABCDEF", 'a': "abcdefghijklmnopqrstuvwxyz0123456789",
	'A': "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789", 'l': "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ",
	'n': "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789",
	't': "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-",
	'b': "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+/",
	'2': "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567",
	'g': "abcdefgh0123456789",
}

// fill draws what a template leaves open: {n36} is 36 letters and digits, {uuid} a UUID. A drawn part begins and ends with a
// letter or digit.
func (g generator) fill(template string) string {
	template = strings.ReplaceAll(template, "{uuid}", "{h8}-{h4}-{h4}-{h4}-{h12}")
	var b strings.Builder
	for template != "" {
		before, rest, found := strings.Cut(template, "{")
		b.WriteString(before)
		if !found {
			break
		}
		hole, after, _ := strings.Cut(rest, "}")
		n, err := strconv.Atoi(hole[1:])
		if err != nil {
			panic(err)
		}
		b.WriteString(g.draw(alphabets[hole[0]], n))
		template = after
	}
	return b.String()
}

func (g generator) draw(alphabet string, n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = alphabet[g.IntN(len(alphabet))]
		for (i == 0 || i == n-1) && strings.IndexByte("_-+/", b[i]) >= 0 {
			b[i] = alphabet[g.IntN(len(alphabet))]
		}
	}
	// Three kinds of characters are in what is long enough, as nearly always: a test must not fail once in a thousand seeds.
	if n >= 16 && len(alphabet) >= 62 {
		copy(b[3:], "aZ7kQ2")
	}
	return string(b)
}

// templates are credentials without a checksum.
var templates = []struct{ rule, kind, text string }{
	{"1password-secret-key", "onepassword_key", "A3-{A6}-{A11}-{A5}-{A5}-{A5}"},
	{"1password-secret-key", "onepassword_key", "A3-{A6}-{A6}-{A5}-{A5}-{A5}-{A5}"},
	{"1password-service-account-token", "onepassword_key", "ops_eyJ{b252}"},
	{"adobe-client-secret", "adobe_secret", "p8e-{n32}"},
	{"airtable-personnal-access-token", "airtable_token", "pat{n14}.{h64}"},
	{"alibaba-access-key-id", "alibaba_key_id", "LTAI{n20}"},
	{"anthropic-admin-api-key", "anthropic_key", "sk-ant-admin01-{t93}AA"},
	{"anthropic-api-key", "anthropic_key", "sk-ant-api03-{t93}AA"},
	{"artifactory-api-key", "artifactory_key", "AKCp{n69}"},
	{"artifactory-reference-token", "artifactory_key", "cmVmd{n59}"},
	{"atlassian-api-token", "atlassian_token", "ATATT3{t186}"},
	{"authress-service-client-access-key", "authress_key", "sc_{a20}.{a5}.acc_{a16}.{b40}"},
	{"aws-access-token", "aws_key_id", "AKIA{216}"},
	{"aws-access-token", "aws_key_id", "ASIA{216}"},
	{"aws-access-token", "aws_key_id", "A3T{A1}{216}"},
	{"aws-amazon-bedrock-api-key-long-lived", "aws_bedrock_key", "ABSK{b120}"},
	{"aws-amazon-bedrock-api-key-short-lived", "aws_bedrock_key", "bedrock-api-key-YmVkcm9jay5hbWF6b25hd3MuY29t{b80}"},
	{"azure-ad-client-secret", "azure_secret", "{n3}{d1}Q~{n34}"},
	{"clickhouse-cloud-api-secret-key", "clickhouse_key", "4b1d{n38}"},
	{"clojars-api-token", "clojars_token", "CLOJARS_{a60}"},
	{"cloudflare-origin-ca-key", "cloudflare_key", "v1.0-{h24}-{h146}"},
	{"databricks-api-token", "databricks_token", "dapi{h32}"},
	{"databricks-api-token", "databricks_token", "dapi{h32}-2"},
	{"defined-networking-api-token", "defined_networking_token", "dnkey-{a26}-{a52}"},
	{"digitalocean-access-token", "digitalocean_token", "doo_v1_{h64}"},
	{"digitalocean-pat", "digitalocean_token", "dop_v1_{h64}"},
	{"digitalocean-refresh-token", "digitalocean_token", "dor_v1_{h64}"},
	{"doppler-api-token", "doppler_token", "dp.pt.{n43}"},
	{"dropbox-short-lived-api-token", "dropbox_token", "sl.{t135}"},
	{"duffel-api-token", "duffel_token", "duffel_live_{t43}"},
	{"dynatrace-api-token", "dynatrace_token", "dt0c01.{A24}.{A64}"},
	{"easypost-api-token", "easypost_key", "EZAK{n54}"},
	{"easypost-test-api-token", "easypost_key", "EZTK{n54}"},
	{"facebook-access-token", "facebook_token", "{d16}|{n32}"},
	{"facebook-page-access-token", "facebook_token", "EAAM{n120}"},
	{"flutterwave-encryption-key", "flutterwave_key", "FLWSECK_TEST-{h12}"},
	{"flutterwave-public-key", "flutterwave_key", "FLWPUBK_TEST-{h32}-X"},
	{"flutterwave-secret-key", "flutterwave_key", "FLWSECK_TEST-{h32}-X"},
	{"flyio-access-token", "flyio_token", "fo1_{t43}"},
	{"flyio-access-token", "flyio_token", "fm2_{b120}"},
	{"frameio-api-token", "frameio_token", "fio-u-{t64}"},
	{"freemius-secret-key", "freemius_key", `"secret_key" => "sk_{n29}"`},
	{"gcp-api-key", "google_key", "AIza{t35}"},
	{"github-fine-grained-pat", "github_token", "github_pat_{n22}_{n59}"},
	{"gitlab-cicd-job-token", "gitlab_token", "glcbt-{n2}_{t20}"},
	{"gitlab-deploy-token", "gitlab_token", "gldt-{t20}"},
	{"gitlab-feature-flag-client-token", "gitlab_token", "glffct-{t20}"},
	{"gitlab-feed-token", "gitlab_token", "glft-{t20}"},
	{"gitlab-incoming-mail-token", "gitlab_token", "glimt-{t25}"},
	{"gitlab-kubernetes-agent-token", "gitlab_token", "glagent-{t50}"},
	{"gitlab-oauth-app-secret", "gitlab_token", "gloas-{t64}"},
	{"gitlab-pat", "gitlab_token", "glpat-{t20}"},
	{"gitlab-pat-routable", "gitlab_token", "glpat-{t40}.{a2}{a7}"},
	{"gitlab-ptt", "gitlab_token", "glptt-{h40}"},
	{"gitlab-rrt", "gitlab_token", "GR1348941{t20}"},
	{"gitlab-runner-authentication-token", "gitlab_token", "glrt-{t20}"},
	{"gitlab-runner-authentication-token-routable", "gitlab_token", "glrt-t1_{t40}.{a2}{a7}"},
	{"gitlab-scim-token", "gitlab_token", "glsoat-{t20}"},
	{"gitlab-session-cookie", "gitlab_token", "_gitlab_session={h32}"},
	{"grafana-api-key", "grafana_token", "eyJrIjoi{n90}"},
	{"grafana-cloud-api-token", "grafana_token", "glc_{n80}"},
	{"harness-api-key", "harness_key", "pat.{t22}.{n24}.{n20}"},
	{"hashicorp-tf-api-token", "terraform_token", "{n14}.atlasv1.{n67}"},
	{"heroku-api-key-v2", "heroku_key", "HRKU-AA{t58}"},
	{"huggingface-access-token", "huggingface_token", "hf_{l34}"},
	{"huggingface-organization-api-token", "huggingface_token", "api_org_{l34}"},
	{"infracost-api-token", "infracost_key", "ico-{n32}"},
	{"intra42-client-secret", "intra42_secret", "s-s4t2ud-{h64}"},
	{"launchdarkly-access-token", "launchdarkly_key", "sdk-{uuid}"},
	{"linear-api-key", "linear_key", "lin_api_{n40}"},
	{"lob-api-key", "lob_key", "live_{h35}"},
	{"mailchimp-api-key", "mailchimp_key", "{h32}-us17"},
	{"mailgun-private-api-token", "mailgun_key", "key-{h32}"},
	{"mapbox-api-token", "mapbox_token", "pk.{a60}.{a22}"},
	{"maxmind-license-key", "maxmind_key", "{n6}_{n29}_mmk"},
	{"microsoft-teams-webhook", "teams_webhook", "https://acme.webhook.office.com/webhookb2/{uuid}@{uuid}/IncomingWebhook/{h32}/{uuid}"},
	{"new-relic-browser-api-token", "newrelic_key", "NRJS-{h19}"},
	{"new-relic-insert-key", "newrelic_key", "NRII-{n32}"},
	{"new-relic-user-api-key", "newrelic_key", "NRAK-{A27}"},
	{"notion-api-token", "notion_token", "ntn_{d11}{n35}"},
	{"nuget-config-password", "nuget_password", `<add key="ClearTextPassword" value="{n20}" />`},
	{"octopus-deploy-api-key", "octopus_key", "API-{A26}"},
	{"openai-api-key", "openai_key", "sk-{n20}T3BlbkFJ{n20}"},
	{"openai-api-key", "openai_key", "sk-proj-{t74}T3BlbkFJ{t74}"},
	{"openai-api-key", "openai_key", "sk-svcacct-{t58}T3BlbkFJ{t58}"},
	{"openai-api-key", "openai_key", "sk-admin-{t58}T3BlbkFJ{t58}"},
	{"openshift-user-token", "openshift_token", "sha256~{t43}"},
	{"perplexity-api-key", "perplexity_key", "pplx-{n48}"},
	{"plaid-api-token", "plaid_token", "access-production-{uuid}"},
	{"planetscale-api-token", "planetscale_token", "pscale_tkn_{t43}"},
	{"planetscale-oauth-token", "planetscale_token", "pscale_oauth_{t43}"},
	{"planetscale-password", "planetscale_token", "pscale_pw_{t43}"},
	{"postman-api-token", "postman_key", "PMAK-{h24}-{h34}"},
	{"prefect-api-token", "prefect_token", "pnu_{n36}"},
	{"pulumi-api-token", "pulumi_token", "pul-{h40}"},
	{"pypi-upload-token", "pypi_token", "pypi-AgEIcHlwaS5vcmc{t120}"},
	{"readme-api-token", "readme_key", "rdme_{a70}"},
	{"rubygems-api-token", "rubygems_token", "rubygems_{h48}"},
	{"scalingo-api-token", "scalingo_token", "tk-us-{t48}"},
	{"sendgrid-api-token", "sendgrid_key", "SG.{t22}.{t43}"},
	{"sendinblue-api-token", "brevo_key", "xkeysib-{h64}-{n16}"},
	{"sentry-org-token", "sentry_token", "sntrys_eyJpYXQiO{n40}LCJyZWdpb25fdXJs{n40}=_{b43}"},
	{"sentry-user-token", "sentry_token", "sntryu_{h64}"},
	{"settlemint-application-access-token", "settlemint_token", "sm_aat_{n16}"},
	{"settlemint-personal-access-token", "settlemint_token", "sm_pat_{n16}"},
	{"settlemint-service-access-token", "settlemint_token", "sm_sat_{n16}"},
	{"shippo-api-token", "shippo_token", "shippo_live_{h40}"},
	{"shopify-access-token", "shopify_token", "shpat_{h32}"},
	{"shopify-custom-access-token", "shopify_token", "shpca_{h32}"},
	{"shopify-private-app-access-token", "shopify_token", "shppa_{h32}"},
	{"shopify-shared-secret", "shopify_token", "shpss_{h32}"},
	{"sidekiq-sensitive-url", "sidekiq_url", "https://{h8}:{h8}@gems.contribsys.com"},
	{"slack-app-token", "slack_token", "xapp-1-{A11}-{d13}-{h64}"},
	{"slack-bot-token", "slack_token", "xoxb-{d12}-{d12}-{n24}"},
	{"slack-config-access-token", "slack_token", "xoxe.xoxp-1-{A166}"},
	{"slack-config-refresh-token", "slack_token", "xoxe-1-{A146}"},
	{"slack-legacy-bot-token", "slack_token", "xoxb-{d12}-{n24}"},
	{"slack-legacy-token", "slack_token", "xoxs-{d10}-{d10}-{d10}-{h32}"},
	{"slack-legacy-workspace-token", "slack_token", "xoxa-2-{n36}"},
	{"slack-user-token", "slack_token", "xoxp-{d12}-{d12}-{d12}-{h32}"},
	{"slack-webhook-url", "slack_webhook", "https://hooks.slack.com/services/T{A10}/B{A10}/{n24}"},
	{"sonar-api-token", "sonar_token", "squ_{h40}"},
	{"sourcegraph-access-token", "sourcegraph_token", "sgp_{h16}_{h40}"},
	{"sourcegraph-access-token", "sourcegraph_token", "sgp_local_{h40}"},
	{"square-access-token", "square_token", "sq0atp-{t22}"},
	{"square-access-token", "square_token", "EAAA{n60}"},
	{"stripe-access-token", "stripe_key", "sk_live_{n24}"},
	{"stripe-access-token", "stripe_key", "rk_test_{n24}"},
	{"telegram-bot-api-token", "telegram_token", "{d10}:AA{n33}"},
	{"twilio-api-key", "twilio_key", "SK{h32}"},
	{"twitter-bearer-token", "twitter_token", "AAAAAAAAAAAAAAAAAAAAAA{n88}"},
	{"typeform-api-token", "typeform_token", "tfp_{t59}"},
	{"vault-batch-token", "vault_token", "hvb.{t150}"},
	{"vault-service-token", "vault_token", "hvs.{t95}"},
	{"vault-service-token", "vault_token", "s.{n24}"},
	{"yandex-api-key", "yandex_key", "AQVN{t36}"},
	{"", "stripe_key", "whsec_{n32}"},
	{"", "square_token", "sq0csp-{t43}"},
}

// computed are credentials whose parts depend on one another.
func (g generator) computed() (out []Example) {
	return append(out,
		Example{"github-pat", "github_token", g.withCRC("ghp_")},
		Example{"github-oauth", "github_token", g.withCRC("gho_")},
		Example{"github-app-token", "github_token", g.withCRC("ghs_")},
		Example{"github-refresh-token", "github_token", g.withCRC("ghr_")},
		Example{"npm-access-token", "npm_token", g.withCRC("npm_")},
		Example{"grafana-service-account-token", "grafana_token", g.grafana()},
		Example{"age-secret-key", "age_key", g.age()},
		Example{"private-key", "private_key", g.pem()},
		Example{"jwt", "jwt", g.jwt()},
		Example{"", "payment_card", g.card()},
		Example{"", "iban", g.iban()},
	)
}

const base62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

func (g generator) withCRC(prefix string) string {
	body := g.draw(alphabets['n'], 30)
	var sum [6]byte
	n := crc32.ChecksumIEEE([]byte(body))
	for i := len(sum) - 1; i >= 0; i-- {
		sum[i] = base62[n%62]
		n /= 62
	}
	return prefix + body + string(sum[:])
}

func (g generator) grafana() string {
	key := "glsa_" + g.draw(alphabets['n'], 32)
	n := crc32.ChecksumIEEE([]byte(key))
	return key + "_" + hex.EncodeToString([]byte{byte(n), byte(n >> 8), byte(n >> 16), byte(n >> 24)})
}

// age is a key in Bech32, its checksum worked out as BIP 173 says.
func (g generator) age() string {
	const letters, human = "qpzry9x8gf2tvdw0s3jn54khce6mua7l", "age-secret-key-"
	values := make([]int, 52)
	for i := range values {
		values[i] = g.IntN(32)
	}
	values[51] &= 0x10 // 256 bits are 51 letters and a bit
	var all []int
	for _, c := range human {
		all = append(all, int(c)>>5)
	}
	all = append(all, 0)
	for _, c := range human {
		all = append(all, int(c)&31)
	}
	all = append(append(all, values...), 0, 0, 0, 0, 0, 0)
	sum := 1
	for _, v := range all {
		top := sum >> 25
		sum = (sum&0x1ffffff)<<5 ^ v
		for i, k := range []int{0x3b6a57b2, 0x26508e6d, 0x1ea119fa, 0x3d4233dd, 0x2a1462b3} {
			if top>>i&1 != 0 {
				sum ^= k
			}
		}
	}
	sum ^= 1
	for i := range 6 {
		values = append(values, sum>>(5*(5-i))&31)
	}
	text := human + "1"
	for _, v := range values {
		text += string(letters[v])
	}
	return strings.ToUpper(text)
}

func (g generator) bytes(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(g.IntN(256))
	}
	return b
}

func (g generator) pem() string {
	text := base64.StdEncoding.EncodeToString(append([]byte{0x30, 0x82, 1, 0x22}, g.bytes(290)...))
	var lines []string
	for len(text) > 64 {
		lines = append(lines, text[:64])
		text = text[64:]
	}
	return "-----BEGIN RSA PRIVATE KEY-----\n" + strings.Join(append(lines, text), "\n") + "\n-----END RSA PRIVATE KEY-----"
}

func (g generator) jwt() string {
	part := func(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }
	claims := fmt.Sprintf(`{"sub":"%d","name":"Someone","iat":%d}`, g.IntN(1e9), 1700000000+g.IntN(1e8))
	return part(`{"alg":"HS256","typ":"JWT"}`) + "." + part(claims) + "." + base64.RawURLEncoding.EncodeToString(g.bytes(32))
}

func (g generator) card() string {
	digits := "4" + g.draw(alphabets['d'], 14)
	for check := range 10 {
		if full := digits + strconv.Itoa(check); luhn(full) {
			return full[:4] + " " + full[4:8] + " " + full[8:12] + " " + full[12:]
		}
	}
	panic("no check digit fits")
}

func luhn(s string) bool {
	sum := 0
	for i := range len(s) {
		d := int(s[len(s)-1-i] - '0')
		if i%2 == 1 {
			d *= 2
		}
		sum += d/10 + d%10
	}
	return sum%10 == 0
}

func (g generator) iban() string {
	account := g.draw(alphabets['d'], 18)
	rest := 0
	for _, c := range account + "131400" { // DE00 behind it
		rest = (rest*10 + int(c-'0')) % 97
	}
	return fmt.Sprintf("DE%02d%s", 98-rest, account)
}
