package policy

import (
	"fmt"
	"reflect"
	"strings"

	"github.com/plumbline/plumbline/internal/detect"
	"github.com/plumbline/plumbline/internal/yamldoc"
)

const referenceHead = `# The policy document

<!-- Generated from internal/policy: go test ./internal/policy -update -->

One YAML file says which models may be called, what to do about secrets and attacks in prompts, how far a prompt may lean
from the tasks of its person, and which intents are unwelcome. Limits, people, teams and tasks are objects of their own. ` + "`plumbline check policy`" + ` reports every problem
of a document at once, with line and column; a key that does not exist is one.

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
   this order wins: model, secrets, attacks, intent, deviation, unscored, quota.
3. ` + "`mode: observe`" + ` lifts what the rules on secrets, attacks, intent, deviation and unscored prompts say; ` + "`secrets.mode`" + `
   and ` + "`attacks.mode`" + ` take its place for those two. Models, prices, limits and what
   ` + "`requests`" + ` says hold in every mode; a limit has an enforcement of its own. A verdict keeps both: ` + "`decided`" + ` is
   what the rules said, ` + "`action`" + ` what was done. ` + "`reason` and `rule`" + ` explain the action, or the decision where the action is allow.
4. A team's list of models takes the place of ` + "`models.allow`" + `. An app's list narrows what is left, whoever calls. A model
   without a price is refused whatever the lists say.
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
| ` + "`models.allow`, `models.teams.<name>`, `models.apps.<name>`" + ` | model_not_allowed | no |
| ` + "`models.unpriced`" + `: the model has no price; built in | model_not_allowed | no |
| ` + "`secrets.default`, `secrets.kinds.<kind>`" + ` | secret_in_prompt | unless secrets.mode says enforce |
| ` + "`attacks.default`, `attacks.kinds.<form>`" + ` | attack | unless attacks.mode says enforce |
| ` + "`intents.forbidden[i]`, `intents.warn[i]`" + `, i from 0 | forbidden_intent | yes |
| ` + "`deviation.warn`, `deviation.block`" + ` | off_task | yes |
| ` + "`deviation.on_unscored.<cause>`" + ` | unscored | yes |
| ` + "`requests.<field>`" + `: the request asks for more than the field allows | unsupported_parameter | no |
| the id of a limit | rate_limited, concurrency_limit, quota_exhausted, request_over_limit | no |

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
		value := yamldoc.Text(f.Value)
		if value != "" {
			value = "`" + value + "`"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", path, yamldoc.TypeName(of), value, f.Doc)
	}
	fmt.Fprintf(&b, referenceTail, names(detect.Kinds()), names(detect.Forms()))
	return []byte(b.String())
}

// names lists names in Markdown.
func names(list []string) string { return "`" + strings.Join(list, "`, `") + "`" }

// Schema is the JSON Schema of the document, for editors.
func Schema() ([]byte, error) {
	doc := defaults()
	return yamldoc.Schema("Plumbline policy", &doc)
}
