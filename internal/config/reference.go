package config

import (
	"fmt"
	"strings"

	"github.com/plumbline/plumbline/internal/yamldoc"
)

// Setting is one setting in words.
type Setting struct {
	Name    string `json:"name"`    // in the file and for flags: "extproc.socket"
	Env     string `json:"env"`     // the environment variable
	Type    string `json:"type"`    // how a value is written
	Default string `json:"default"` // empty for none
	Value   string `json:"value"`   // never that of a secret
	Doc     string `json:"doc"`
}

// Settings lists every setting of c with its value, in the order of the reference page.
func (c Config) Settings() []Setting {
	byDefault := Default()
	defaults := yamldoc.Fields(&byDefault)
	var list []Setting
	for i, f := range yamldoc.Fields(&c) {
		list = append(list, Setting{
			Name:    f.Path,
			Env:     envName(f.Path),
			Type:    yamldoc.TypeName(f.Value.Type()),
			Default: yamldoc.Text(defaults[i].Value),
			Value:   yamldoc.Text(f.Value),
			Doc:     f.Doc,
		})
	}
	return list
}

const referenceHead = `# Configuration

<!-- Generated from internal/config: go test ./internal/config -update -->

Plumbline takes each setting from the strongest of four places: a flag, an environment variable, the configuration file,
the default. A name that does not exist is an error in each of them. All problems are reported at once, each with its
place. ` + "`plumbline config show --origin`" + ` shows every value in force and where it came from.

The file is YAML, named by ` + "`--config` or `PLUMBLINE_CONFIG`" + `. The part of a name before the dot is the group:

` + "```yaml" + `
data_dir: /var/lib/plumbline
policy:
  file: /etc/plumbline/policy.yaml
provider:
  key: file:/run/secrets/openai
  inject_key: true
` + "```" + `

Relative paths start at the working directory. A secret may be written as ` + "`file:`" + ` and the path of a file that holds
it; the name of its environment variable with ` + "`_FILE`" + ` at the end takes the path alone. On the command line a secret
is taken from a file only. Secrets are never printed.

Variables that Kubernetes sets for a Service whose name starts with ` + "`plumbline`" + ` (` + "`PLUMBLINE_SERVICE_HOST`" + ` and the
like) are ignored.
`

// Reference is the reference page of every setting, in Markdown.
func Reference() []byte {
	var b strings.Builder
	b.WriteString(referenceHead)
	group := "-"
	for _, s := range Default().Settings() {
		of, _, grouped := strings.Cut(s.Name, ".")
		if !grouped {
			of = "general"
		}
		if of != group {
			group = of
			b.WriteString("\n## " + of + "\n\n| setting, variable | value | default | |\n|---|---|---|---|\n")
		}
		value := s.Default
		if value != "" {
			value = "`" + value + "`"
		}
		fmt.Fprintf(&b, "| `%s`<br>`%s` | %s | %s | %s |\n", s.Name, s.Env, s.Type, value, s.Doc)
	}
	issuerReference(&b)
	return []byte(b.String())
}

const issuerHead = `
## identity.issuers

Each entry is one identity provider. [How to trust yours](../how-to/identity-providers.md) has an entry for each of the
usual ones.

| key | value | default | |
|---|---|---|---|
`

// issuerReference describes an entry of identity.issuers. Parts that several keys share are written once for each.
func issuerReference(b *strings.Builder) {
	b.WriteString(issuerHead)
	var entry Issuer
	entry.derive(0)
	for _, f := range yamldoc.Fields(&entry) {
		value := strings.ReplaceAll(yamldoc.Text(f.Value), ",", ", ")
		switch {
		case value == "" || value == "0s":
			value = ""
		case strings.HasPrefix(value, ","): // a list whose first item is empty
			value = "`\"\"" + value + "`"
		default:
			value = "`" + value + "`"
		}
		fmt.Fprintf(b, "| `%s` | %s | %s | %s |\n", f.Path, yamldoc.TypeName(f.Value.Type()), value, f.Doc)
	}
}

// Schema is the JSON Schema of the configuration file, for editors.
func Schema() ([]byte, error) {
	c := Default()
	return yamldoc.Schema("Plumbline configuration", &c)
}
