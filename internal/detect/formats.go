package detect

// format is how an issuer writes a credential: a literal that no other text has, and what stands around it.
type format struct {
	kind   string
	anchor string
	// before is the shape of what stands right before the anchor, of fixed length; after that of what follows it.
	before, after string
	// entropy is the least number of bits a byte of what follows must hold. 0: the format says nothing of it.
	entropy float64
	// check is the format's own: a checksum, or what the token holds. nil for none.
	check func(body []byte) bool
}

// The least entropy of what is drawn at random, in bits a byte: of hexadecimal digits, of letters and digits, of few of them.
const (
	ofHex   = 2.7
	ofText  = 3.1
	ofShort = 2.2
)

// formats are the credentials that are told by their form. The facts are those that the issuers publish with their tokens
// and that public scanners agree on (gitleaks, MIT, was read for them); where a checksum is published it is checked.
var formats = [...]format{
	// Code hosting and packages.
	{kind: "github_token", anchor: "ghp_", after: "n36", entropy: ofText, check: crc62},
	{kind: "github_token", anchor: "gho_", after: "n36", entropy: ofText, check: crc62},
	{kind: "github_token", anchor: "ghu_", after: "n36", entropy: ofText, check: crc62},
	{kind: "github_token", anchor: "ghs_", after: "n36", entropy: ofText, check: crc62},
	{kind: "github_token", anchor: "ghr_", after: "n36", entropy: ofText, check: crc62},
	{kind: "github_token", anchor: "github_pat_", after: "w82", entropy: ofText},
	{kind: "npm_token", anchor: "npm_", after: "n36", entropy: ofText, check: crc62},
	{kind: "gitlab_token", anchor: "glpat-", after: "t20", entropy: ofText},
	{kind: "gitlab_token", anchor: "glpat-", after: "t27-300 '. a2 a7", entropy: ofText},
	{kind: "gitlab_token", anchor: "glcbt-", after: "n1-5 '_ t20", entropy: ofText},
	{kind: "gitlab_token", anchor: "gldt-", after: "t20", entropy: ofText},
	{kind: "gitlab_token", anchor: "glffct-", after: "t20", entropy: ofText},
	{kind: "gitlab_token", anchor: "glft-", after: "t20", entropy: ofText},
	{kind: "gitlab_token", anchor: "glimt-", after: "t25", entropy: ofText},
	{kind: "gitlab_token", anchor: "glagent-", after: "t50", entropy: ofText},
	{kind: "gitlab_token", anchor: "gloas-", after: "t64", entropy: ofText},
	{kind: "gitlab_token", anchor: "glptt-", after: "h40", entropy: ofHex},
	{kind: "gitlab_token", anchor: "GR1348941", after: "t20", entropy: ofText},
	{kind: "gitlab_token", anchor: "glrt-", after: "t20", entropy: ofText},
	{kind: "gitlab_token", anchor: "glrt-t", after: "d1 '_ t27-300 '. a2 a7", entropy: ofText},
	{kind: "gitlab_token", anchor: "glsoat-", after: "t20", entropy: ofText},
	{kind: "gitlab_token", anchor: "_gitlab_session=", after: "a32", entropy: ofHex},
	{kind: "pypi_token", anchor: "pypi-AgEIcHlwaS5vcmc", after: "t50-1000", entropy: ofText}, // a macaroon of pypi.org
	{kind: "rubygems_token", anchor: "rubygems_", after: "h48", entropy: ofHex},
	{kind: "clojars_token", anchor: "CLOJARS_", after: "n60", entropy: ofText},
	{kind: "artifactory_key", anchor: "AKCp", after: "n69", entropy: ofText},
	{kind: "artifactory_key", anchor: "cmVmd", after: "n59", entropy: ofText},
	{kind: "sourcegraph_token", anchor: "sgp_", after: "x40", entropy: ofHex},
	{kind: "sourcegraph_token", anchor: "sgp_", after: "x16 '_ x40", entropy: ofHex},
	{kind: "sourcegraph_token", anchor: "sgp_local_", after: "x40", entropy: ofHex},
	{kind: "sonar_token", anchor: "squ_", after: "h40", entropy: ofHex},
	{kind: "sonar_token", anchor: "sqp_", after: "h40", entropy: ofHex},
	{kind: "sonar_token", anchor: "sqa_", after: "h40", entropy: ofHex},

	// Models.
	{kind: "openai_key", anchor: "T3BlbkFJ", before: "'sk- n20", after: "n20", entropy: ofText}, // the infix is "OpenAI"
	{kind: "openai_key", anchor: "sk-proj-", after: "t74 'T3BlbkFJ t74", entropy: ofText},
	{kind: "openai_key", anchor: "sk-proj-", after: "t58 'T3BlbkFJ t58", entropy: ofText},
	{kind: "openai_key", anchor: "sk-svcacct-", after: "t74 'T3BlbkFJ t74", entropy: ofText},
	{kind: "openai_key", anchor: "sk-svcacct-", after: "t58 'T3BlbkFJ t58", entropy: ofText},
	{kind: "openai_key", anchor: "sk-admin-", after: "t74 'T3BlbkFJ t74", entropy: ofText},
	{kind: "openai_key", anchor: "sk-admin-", after: "t58 'T3BlbkFJ t58", entropy: ofText},
	{kind: "anthropic_key", anchor: "sk-ant-api03-", after: "t95", entropy: ofText, check: endsInAA},
	{kind: "anthropic_key", anchor: "sk-ant-admin01-", after: "t95", entropy: ofText, check: endsInAA},
	{kind: "huggingface_token", anchor: "hf_", after: "l34", entropy: ofText},
	{kind: "huggingface_token", anchor: "api_org_", after: "l34", entropy: ofText},
	{kind: "perplexity_key", anchor: "pplx-", after: "n48", entropy: ofText},
	{kind: "plumbline_key", anchor: "pl_", after: "n49", entropy: ofText, check: crcOwn},

	// Clouds and infrastructure.
	{kind: "aws_key_id", anchor: "AKIA", after: "216", entropy: ofShort},
	{kind: "aws_key_id", anchor: "ASIA", after: "216", entropy: ofShort},
	{kind: "aws_key_id", anchor: "ABIA", after: "216", entropy: ofShort},
	{kind: "aws_key_id", anchor: "ACCA", after: "216", entropy: ofShort},
	{kind: "aws_key_id", anchor: "A3T", after: "A1 216", entropy: ofShort},
	{kind: "aws_bedrock_key", anchor: "ABSK", after: "b109-269", entropy: ofText},
	{kind: "aws_bedrock_key", anchor: "bedrock-api-key-YmVkcm9jay5hbWF6b25hd3MuY29t", after: "B16-400", entropy: ofText},
	{kind: "google_key", anchor: "AIza", after: "t35", entropy: ofText},
	{kind: "azure_secret", anchor: "Q~", before: "k3 d1", after: "k31-34", entropy: ofText},
	{kind: "alibaba_key_id", anchor: "LTAI", after: "n20", entropy: ofText, check: mixed},
	{kind: "yandex_key", anchor: "AQVN", after: "t35-38", entropy: ofText},
	{kind: "digitalocean_token", anchor: "dop_v1_", after: "h64", entropy: ofHex},
	{kind: "digitalocean_token", anchor: "doo_v1_", after: "h64", entropy: ofHex},
	{kind: "digitalocean_token", anchor: "dor_v1_", after: "h64", entropy: ofHex},
	{kind: "cloudflare_key", anchor: "v1.0-", after: "h24 '- h146", entropy: ofHex},
	{kind: "heroku_key", anchor: "HRKU-AA", after: "t58", entropy: ofText},
	{kind: "flyio_token", anchor: "fo1_", after: "t43", entropy: ofText},
	{kind: "flyio_token", anchor: "fm1a_", after: "b100-1000", entropy: ofText},
	{kind: "flyio_token", anchor: "fm1r_", after: "b100-1000", entropy: ofText},
	{kind: "flyio_token", anchor: "fm2_", after: "b100-1000", entropy: ofText},
	{kind: "scalingo_token", anchor: "tk-us-", after: "t48", entropy: ofText},
	{kind: "openshift_token", anchor: "sha256~", after: "t43", entropy: ofText},
	{kind: "terraform_token", anchor: ".atlasv1.", before: "n14", after: "u60-70", entropy: ofText},
	{kind: "vault_token", anchor: "hvs.", after: "t90-120", entropy: ofText},
	{kind: "vault_token", anchor: "hvb.", after: "t138-300", entropy: ofText},
	{kind: "vault_token", anchor: "s.", after: "n24", entropy: ofText, check: scrambled},
	{kind: "pulumi_token", anchor: "pul-", after: "h40", entropy: ofHex},
	{kind: "databricks_token", anchor: "dapi", after: "h32", entropy: ofHex},
	{kind: "databricks_token", anchor: "dapi", after: "h32 '- d1", entropy: ofHex},
	{kind: "planetscale_token", anchor: "pscale_tkn_", after: "v32-64", entropy: ofText},
	{kind: "planetscale_token", anchor: "pscale_oauth_", after: "v32-64", entropy: ofText},
	{kind: "planetscale_token", anchor: "pscale_pw_", after: "v32-64", entropy: ofText},
	{kind: "clickhouse_key", anchor: "4b1d", after: "n38", entropy: ofText, check: mixed},
	{kind: "doppler_token", anchor: "dp.pt.", after: "n43", entropy: ofText},
	{kind: "infracost_key", anchor: "ico-", after: "n32", entropy: ofText},
	{kind: "prefect_token", anchor: "pnu_", after: "n36", entropy: ofText},
	{kind: "octopus_key", anchor: "API-", after: "A26", entropy: ofText},
	{kind: "harness_key", anchor: "pat.", after: "t22 '. n24 '. n20", entropy: ofText},
	{kind: "harness_key", anchor: "sat.", after: "t22 '. n24 '. n20", entropy: ofText},
	{kind: "defined_networking_token", anchor: "dnkey-", after: "u26 '- u52", entropy: ofText},
	{kind: "age_key", anchor: "AGE-SECRET-KEY-1", after: "q58", entropy: ofText, check: bech32Age},
	{kind: KindPrivateKey, anchor: "-----BEGIN "},

	// Watching.
	{kind: "grafana_token", anchor: "glsa_", after: "n32 '_ x8", entropy: ofText, check: crcGrafana},
	{kind: "grafana_token", anchor: "glc_", after: "b32-400", entropy: ofText},
	{kind: "grafana_token", anchor: "eyJrIjoi", after: "n70-400", entropy: ofText},
	{kind: "dynatrace_token", anchor: "dt0c01.", after: "n24 '. n64", entropy: ofText},
	{kind: "newrelic_key", anchor: "NRAK-", after: "n27", entropy: ofText},
	{kind: "newrelic_key", anchor: "NRII-", after: "t32", entropy: ofText},
	{kind: "newrelic_key", anchor: "NRJS-", after: "h19", entropy: ofShort},
	{kind: "sentry_token", anchor: "sntryu_", after: "h64", entropy: ofHex},
	{kind: "sentry_token", anchor: "sntrys_eyJpYXQiO", after: "B20-420 '_ b43", entropy: ofText},
	{kind: "launchdarkly_key", anchor: "sdk-", after: uuid, entropy: ofShort},

	// Payment and shops.
	{kind: "stripe_key", anchor: "sk_live_", after: "n10-99", entropy: ofShort},
	{kind: "stripe_key", anchor: "sk_test_", after: "n10-99", entropy: ofShort},
	{kind: "stripe_key", anchor: "sk_prod_", after: "n10-99", entropy: ofShort},
	{kind: "stripe_key", anchor: "rk_live_", after: "n10-99", entropy: ofShort},
	{kind: "stripe_key", anchor: "rk_test_", after: "n10-99", entropy: ofShort},
	{kind: "stripe_key", anchor: "rk_prod_", after: "n10-99", entropy: ofShort},
	{kind: "stripe_key", anchor: "whsec_", after: "b24-99", entropy: ofText},
	{kind: "square_token", anchor: "sq0atp-", after: "t22-60", entropy: ofText},
	{kind: "square_token", anchor: "sq0csp-", after: "t43", entropy: ofText},
	{kind: "square_token", anchor: "EAAA", after: "t22-60", entropy: ofText, check: mixed},
	{kind: "shopify_token", anchor: "shpat_", after: "x32", entropy: ofHex},
	{kind: "shopify_token", anchor: "shpca_", after: "x32", entropy: ofHex},
	{kind: "shopify_token", anchor: "shppa_", after: "x32", entropy: ofHex},
	{kind: "shopify_token", anchor: "shpss_", after: "x32", entropy: ofHex},
	{kind: "shippo_token", anchor: "shippo_live_", after: "x40", entropy: ofHex},
	{kind: "shippo_token", anchor: "shippo_test_", after: "x40", entropy: ofHex},
	{kind: "easypost_key", anchor: "EZAK", after: "n54", entropy: ofText},
	{kind: "easypost_key", anchor: "EZTK", after: "n54", entropy: ofText},
	{kind: "flutterwave_key", anchor: "FLWSECK_TEST-", after: "x12", entropy: ofShort},
	{kind: "flutterwave_key", anchor: "FLWSECK_TEST-", after: "x32 '-X", entropy: ofHex},
	{kind: "flutterwave_key", anchor: "FLWPUBK_TEST-", after: "x32 '-X", entropy: ofHex},
	{kind: "duffel_token", anchor: "duffel_live_", after: "u43", entropy: ofText},
	{kind: "duffel_token", anchor: "duffel_test_", after: "u43", entropy: ofText},
	{kind: "lob_key", anchor: "live_", after: "h35", entropy: ofHex},
	{kind: "lob_key", anchor: "test_", after: "h35", entropy: ofHex},
	{kind: "plaid_token", anchor: "access-sandbox-", after: uuid, entropy: ofShort},
	{kind: "plaid_token", anchor: "access-development-", after: uuid, entropy: ofShort},
	{kind: "plaid_token", anchor: "access-production-", after: uuid, entropy: ofShort},
	{kind: "freemius_key", anchor: `"secret_key" => "sk_`, after: "s29", entropy: ofText},
	{kind: "freemius_key", anchor: `'secret_key' => 'sk_`, after: "s29", entropy: ofText},

	// Messages.
	{kind: "slack_token", anchor: "xoxb-", after: "d10-13 '- d10-13 t0-40", entropy: ofShort},
	{kind: "slack_token", anchor: "xoxb-", after: "d8-14 '- n18-26", entropy: ofShort},
	{kind: "slack_token", anchor: "xoxp-", after: "d10-13 '- d10-13 '- d10-13 '- t28-34", entropy: ofShort},
	{kind: "slack_token", anchor: "xoxe-", after: "d10-13 '- d10-13 '- d10-13 '- t28-34", entropy: ofShort},
	{kind: "slack_token", anchor: "xoxe-", after: "d1 '- n146", entropy: ofText},
	{kind: "slack_token", anchor: "xoxe.xoxb-", after: "d1 '- n163-166", entropy: ofText},
	{kind: "slack_token", anchor: "xoxe.xoxp-", after: "d1 '- n163-166", entropy: ofText},
	{kind: "slack_token", anchor: "xoxo-", after: "d1-14 '- d1-14 '- d1-14 '- x6-64", entropy: ofShort},
	{kind: "slack_token", anchor: "xoxs-", after: "d1-14 '- d1-14 '- d1-14 '- x6-64", entropy: ofShort},
	{kind: "slack_token", anchor: "xoxa-", after: "t8-50", entropy: ofShort, check: someDigit},
	{kind: "slack_token", anchor: "xoxr-", after: "t8-50", entropy: ofShort, check: someDigit},
	{kind: "slack_token", anchor: "xapp-", after: "d1 '- A8-14 '- d8-15 '- a32-80", entropy: ofShort},
	{kind: "slack_webhook", anchor: "hooks.slack.com/services/", after: "B43-56", entropy: ofText},
	{kind: "slack_webhook", anchor: "hooks.slack.com/workflows/", after: "B43-56", entropy: ofText},
	{kind: "slack_webhook", anchor: "hooks.slack.com/triggers/", after: "B43-56", entropy: ofText},
	{kind: "teams_webhook", anchor: ".webhook.office.com/webhookb2/", after: uuid + " '@ " + uuid + " '/IncomingWebhook/ a32 '/ " + uuid, entropy: ofShort},
	{kind: "telegram_token", anchor: ":AA", before: "d8", after: "t33", entropy: ofText},
	{kind: "telegram_token", anchor: ":AA", before: "d9", after: "t33", entropy: ofText},
	{kind: "telegram_token", anchor: ":AA", before: "d10", after: "t33", entropy: ofText},
	{kind: "twilio_key", anchor: "SK", after: "x32", entropy: ofHex},
	{kind: "sendgrid_key", anchor: "SG.", after: "v66", entropy: ofText},
	{kind: "brevo_key", anchor: "xkeysib-", after: "h64 '- n16", entropy: ofHex},
	{kind: "mailgun_key", anchor: "key-", after: "h32", entropy: ofHex},
	{kind: "mailchimp_key", anchor: "-us", before: "h32", after: "d1-2"},
	{kind: "twitter_token", anchor: "AAAAAAAAAAAAAAAAAAAAAA", after: "p80-100", entropy: ofText},
	{kind: "facebook_token", anchor: "EAAM", after: "n100-400", entropy: ofText},
	{kind: "facebook_token", anchor: "EAAC", after: "n100-400", entropy: ofText},
	{kind: "facebook_token", anchor: "|", before: "d15", after: "t27-40", entropy: ofText, check: mixed},
	{kind: "facebook_token", anchor: "|", before: "d16", after: "t27-40", entropy: ofText, check: mixed},

	// Work and data.
	{kind: "atlassian_token", anchor: "ATATT3", after: "u186", entropy: ofText},
	{kind: "notion_token", anchor: "ntn_", after: "d11 n35", entropy: ofText},
	{kind: "linear_key", anchor: "lin_api_", after: "n40", entropy: ofText},
	{kind: "airtable_token", anchor: "pat", after: "n14 '. h64", entropy: ofHex},
	{kind: "postman_key", anchor: "PMAK-", after: "x24 '- x34", entropy: ofHex},
	{kind: "readme_key", anchor: "rdme_", after: "a70", entropy: ofText},
	{kind: "typeform_token", anchor: "tfp_", after: "v59", entropy: ofText},
	{kind: "frameio_token", anchor: "fio-u-", after: "u64", entropy: ofText},
	{kind: "adobe_secret", anchor: "p8e-", after: "n32", entropy: ofText},
	{kind: "intra42_secret", anchor: "s-s4t2ud-", after: "x64", entropy: ofHex},
	{kind: "intra42_secret", anchor: "s-s4t2af-", after: "x64", entropy: ofHex},
	{kind: "settlemint_token", anchor: "sm_aat_", after: "n16", entropy: ofShort, check: mixed},
	{kind: "settlemint_token", anchor: "sm_pat_", after: "n16", entropy: ofShort, check: mixed},
	{kind: "settlemint_token", anchor: "sm_sat_", after: "n16", entropy: ofShort, check: mixed},
	{kind: "mapbox_token", anchor: "pk.", after: "n60 '. n22", entropy: ofText},
	{kind: "mapbox_token", anchor: "sk.", after: "n60 '. n22", entropy: ofText},
	{kind: "maxmind_key", anchor: "_mmk", before: "n6 '_ n29"},
	{kind: "dropbox_token", anchor: "sl.", after: "u135", entropy: ofText},
	{kind: "sidekiq_url", anchor: "@gems.contribsys.com", before: "h8 ': h8"},
	{kind: "sidekiq_url", anchor: "@enterprise.contribsys.com", before: "h8 ': h8"},
	{kind: "onepassword_key", anchor: "A3-", after: "A6 '- A11 '- A5 '- A5 '- A5", entropy: ofText},
	{kind: "onepassword_key", anchor: "A3-", after: "A6 '- A6 '- A5 '- A5 '- A5 '- A5", entropy: ofText},
	{kind: "onepassword_key", anchor: "ops_eyJ", after: "b250-2000", entropy: ofText},
	{kind: "authress_key", anchor: ".acc_", after: "y10-32 '. B30-120", entropy: ofText},
	{kind: "authress_key", anchor: ".acc-", after: "y10-32 '. B30-120", entropy: ofText},
	{kind: "nuget_password", anchor: `key="ClearTextPassword" value="`, after: "s8-200"},
	{kind: KindJWT, anchor: "eyJ"},
}

// uuid is the shape of one, in small letters (RFC 9562).
const uuid = "h8 '- h4 '- h4 '- h4 '- h12"

func endsInAA(body []byte) bool { return string(body[len(body)-2:]) == "AA" }

func someDigit(body []byte) bool {
	for _, c := range body {
		if digit(c) {
			return true
		}
	}
	return false
}
