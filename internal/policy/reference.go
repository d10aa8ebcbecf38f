package policy

import (
	"fmt"
	"reflect"
	"strings"

	"github.com/plumbline/plumbline/internal/condition"
	"github.com/plumbline/plumbline/internal/detect"
	"github.com/plumbline/plumbline/internal/yamldoc"
)

const referenceHead = `# The policy document

<!-- Generated from internal/policy: go test ./internal/policy -update -->

One YAML file says which models may be called, what to do about secrets and attacks in prompts, how far a prompt may lean
from the tasks of its person, and which intents are unwelcome; rules of your own say what else. Limits, people, teams and
tasks are objects of their own. ` + "`plumbline policy check`" + ` reports every problem of a document at once, with line and column; a
key that does not exist is one. [policy.schema.json](policy.schema.json) is the JSON Schema for editors
(` + "`plumbline policy schema`" + `). [Write and test a policy](../how-to/policy.md) shows how.

` + "```yaml" + `
` + Example + "```" + `

## Fields

A field that is not written keeps its default. ` + "`<name>`" + ` stands for the id of a team or app. In the pattern of a model
a star stands for any characters.

`

const referenceTail = `
## How a verdict comes about

1. A verdict depends on the document and the stored facts of the exchange, and on nothing else. The same facts under the
   same document give the same verdict at any time.
2. Every group of rules is asked. The most severe answer wins: block before warn before allow. Among equals the first of
   this order wins: endpoint, model, secrets, attacks, rules in the order of the document, intent, deviation, unscored, quota.
3. ` + "`mode: observe`" + ` lifts what the rules on secrets, attacks, intent, deviation and unscored prompts and those of
   ` + "`rules`" + ` say; the ` + "`mode`" + ` of one of them takes its place for that one. Endpoints, models, prices, limits and what
   ` + "`requests`" + ` says hold in every mode; a limit has an enforcement of its own. A verdict keeps both: ` + "`decided`" + ` is
   what the rules said, ` + "`action`" + ` what was done. ` + "`reason` and `rule`" + ` explain the action, or the decision where the action is allow.
4. A team's list of models or endpoints takes the place of that for everyone, as do the fields that it writes in
   ` + "`requests.teams`" + `. Those of an app narrow what is left, whoever calls. A model without a price is refused whatever the
   lists say.
5. A prompt is blocked for its deviation only as far as ` + "`deviation.promise`" + ` allows: by a calibration of enough labelled
   prompts, so that at most that share of what is on task is blocked ([what that means](../explanation/promise.md)). Where
   there is none a score warns at most. With ` + "`enforce_uncalibrated: true`" + ` it blocks by ` + "`deviation.block`" + ` as well, and
   each such verdict says ` + "`uncalibrated`" + `.
6. A prompt whose intent or deviation could not be scored gets the more severe of the responses to the causes.
7. Of the secrets, or attacks, that were found in a prompt the one with the most severe response decides.
8. An intent that is not confident enough is ignored. ` + "`uncertain`" + `, the label of a prompt that fits no class, may be
   listed too; the confidence does not matter for it.

## Rules by name

| rule | reason | mode observe lifts it |
|---|---|---|
| ` + "`endpoints.allow`, `endpoints.teams.<name>`, `endpoints.apps.<name>`" + ` | endpoint_not_allowed | no |
| ` + "`models.allow`, `models.teams.<name>`, `models.apps.<name>`" + ` | model_not_allowed | no |
| ` + "`models.unpriced`" + `: the model has no price; built in | model_not_allowed | no |
| ` + "`secrets.default`, `secrets.kinds.<kind>`" + ` | secret_in_prompt | unless secrets.mode says enforce |
| ` + "`attacks.default`, `attacks.kinds.<form>`" + ` | attack | unless attacks.mode says enforce |
| ` + "`rules.<name>`" + `; ` + "`rules.<name>.on_error`" + `: its condition could not be answered | policy_rule | unless the rule's mode says enforce |
| ` + "`intents.forbidden[i]`, `intents.warn[i]`" + `, i from 0; ` + "`intents.allowed`" + ` | forbidden_intent | unless intents.mode says enforce |
| ` + "`deviation.warn`, `deviation.block`" + ` | off_task | unless deviation.mode says enforce |
| ` + "`deviation.on_unscored.<cause>`" + ` | unscored | unless deviation.mode says enforce |
| ` + "`requests.<field>`" + `: the request asks for more than the field allows | unsupported_parameter | no |
| the id of a limit | rate_limited, concurrency_limit, quota_exhausted, request_over_limit | no |

## Rules of your own

An entry of ` + "`rules`" + `:

%s
A condition is an expression in [CEL](https://cel.dev) that is true or false: ` + "`== != < <= > >= && || ! ? : + - * / %% in [ ]`" + `, lists
that are written out, ` + "`size startsWith endsWith contains matches string int double`" + `, and ` + "`all exists exists_one filter map`" + `
up to two within one another. Patterns of ` + "`matches`" + ` are RE2, written out, of at most 512 bytes. There are no maps, no
times beside those below, and no other functions. A condition has at most %d characters and may cost %d at most, reckoned
by CEL from the sizes that facts usually have; all of a document together %d, in at most %d rules. What would cost more is refused when
the document is read. A fact that is larger than usual has the cost counted, up to the same bound.

A condition that cannot be answered (an index that there is not, a division by zero, a cost above the bound) counts in
` + "`plumbline_policy_condition_failures_total`" + `, and ` + "`on_error`" + ` says what to do: block, unless the rule says warn.

What conditions can read are facts that every record holds, so that a replay is exact:

%s
## Classes of your own

An entry of ` + "`intents.classes`" + `:

%s
A prompt is of such a class where its meaning is near to the description or to an example, and nearer than to what the built-in
classes learnt from ([how well](../explanation/intents.md)). A document has at most 16.

## Cases

An entry of ` + "`cases`" + `:

%s
An entry of ` + "`case_tasks`" + `:

%s
An entry of ` + "`case_system_prompts`" + `:

%s
What an app has registered is not judged in a case of that app, and every other system text is, as for
[a request](../how-to/register-system-prompts.md). What the store has registered does not count here.

## Kinds

What may stand in ` + "`secrets.kinds`" + `: %s.

What may stand in ` + "`attacks.kinds`" + `: %s. [Secrets and attacks](../explanation/detection.md) says what they are.

## Version

The version of a policy is made from what it says, defaults included. Remarks, order and notation do not change it.
`

// Example is a document that uses most of what there is.
const Example = `version: 1
mode: enforce
notice_url: https://wiki.example.com/llm-use
timezone: Europe/Berlin
endpoints:
  allow: [chat.completions, responses, models.*]
  teams:
    search: [chat.completions, embeddings]
models:
  allow: [gpt-4o-mini]
  teams:
    billing: [gpt-4o*, o3]
  apps:
    crm: ["*-mini"]
deviation:
  warn: 0.6
  block: 0.9
  on_unscored:
    encoded: block
    too_short: allow
secrets:
  mode: enforce
  kinds: {private_key: block, iban: allow}
attacks:
  kinds: {hidden_text: block}
rules:
  - name: o3-by-day
    when: model == "o3" && (time.hour < 7 || time.hour >= 20)
    then: block
    message: o3 is for the day.
  - name: unsure-and-far
    when: deviation.score > 0.5 && intent.confidence < 0.6 && !("billing" in tasks)
    then: warn
    on_error: warn
    mode: observe
intents:
  forbidden: [jailbreak]
  warn: [job_search]
  min_confidence: 0.7
requests:
  inline: [image]
  hosted_tools: [web_search]
  max_tool_calls: 3
  max_choices: 4
  max_effort: medium
  teams:
    design: {inline: [image, file], file_ids: true}
  apps:
    crm: {hosted_tools: [], inline: []}
case_tasks:
  - id: billing
    title: Billing support
    topics: [an invoice is wrong, refund of a payment]
cases:
  - name: o3 at night
    prompt: Explain this invoice to me.
    tasks: [billing]
    model: o3
    team: billing
    at: 2026-03-02T22:00:00Z
    verdict: block
    rule: rules.o3-by-day
`

// Reference is the reference page of the document, in Markdown.
func Reference() []byte {
	var b strings.Builder
	b.WriteString(referenceHead)
	b.WriteString("| field | value | default | |\n|---|---|---|---|\n")
	doc := defaults()
	for _, f := range yamldoc.Fields(&doc) {
		path, of := f.Path, f.Value.Type()
		if of.Kind() == reflect.Map {
			path, of = path+".<name>", of.Elem()
		}
		switch {
		case of.Kind() == reflect.Struct:
			fmt.Fprintf(&b, "| `%s` | fields | | %s |\n", path, f.Doc)
			continue
		case of.Kind() == reflect.Slice && of.Elem().Kind() == reflect.Struct:
			fmt.Fprintf(&b, "| `%s` | a list of entries | | %s |\n", path, f.Doc)
			continue
		}
		value := yamldoc.Text(f.Value)
		if value != "" {
			value = "`" + value + "`"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", path, yamldoc.TypeName(of), value, f.Doc)
	}
	fmt.Fprintf(&b, referenceTail, entry(&Rule{}), condition.MaxLength, condition.MaxCost, maxCosts, maxRules, readable(),
		entry(&IntentClass{}), entry(&Case{}), entry(&CaseTask{}), entry(&CaseSystemPrompt{}), names(detect.Kinds()), names(detect.Forms()))
	return []byte(b.String())
}

// entry is a table of the fields of a struct.
func entry(ptr any) string {
	var b strings.Builder
	b.WriteString("| field | value | |\n|---|---|---|\n")
	for _, f := range yamldoc.Fields(ptr) {
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", f.Path, yamldoc.TypeName(f.Value.Type()), f.Doc)
	}
	return b.String()
}

// readable is a table of what conditions can read.
func readable() string {
	var b strings.Builder
	b.WriteString("| fact | value | |\n|---|---|---|\n")
	env, err := newEnv()
	if err != nil { // a test compiles conditions over all of them
		return ""
	}
	for _, v := range env.Variables() {
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", v.Name(), v.Type(), v.Doc())
	}
	return b.String()
}

// names lists names in Markdown.
func names(list []string) string { return "`" + strings.Join(list, "`, `") + "`" }

// Schema is the JSON Schema of the document, for editors.
func Schema() ([]byte, error) {
	doc := defaults()
	return yamldoc.Schema("Plumbline policy", &doc)
}
