package config_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/plumbline/plumbline/internal/config"
)

// TestJudge: prompts leave only for where an operator said so in full, over TLS or to this machine.
func TestJudge(t *testing.T) {
	const prefix = "PLUMBLINE_CALIBRATION_JUDGE_"
	sampled := []string{"PLUMBLINE_AUDIT_CALIBRATION_SAMPLE=2%", "PLUMBLINE_AUDIT_MASTER_KEY_FILE=masters"}
	whole := append(slices.Clone(sampled), prefix+"URL=https://judge.test/v1", prefix+"MODEL=m", prefix+"KEY=sk-123")
	for name, c := range map[string]struct {
		env  []string
		want string
	}{
		"no URL":              {append(slices.Clone(sampled), prefix+"URL=judge.test/v1"), prefix + "URL: must be a URL such as"},
		"not encrypted":       {append(slices.Clone(whole), prefix+"URL=http://judge.test/v1"), prefix + "URL: must begin with https://"},
		"another machine":     {append(slices.Clone(whole), prefix+"URL=http://127.0.0.1.test/v1"), prefix + "URL: must begin with https://"},
		"a password":          {append(slices.Clone(whole), prefix+"URL=https://u:sk-123@judge.test/v1"), prefix + "URL: must not hold a user"},
		"a query":             {append(slices.Clone(whole), prefix+"URL=https://judge.test/v1?key=sk-123"), prefix + "URL: must not hold a user"},
		"no model":            {append(slices.Clone(whole), prefix+"MODEL="), prefix + "MODEL: must name the model"},
		"a model of words":    {append(slices.Clone(whole), prefix+"MODEL=a b"), prefix + "MODEL: must name the model"},
		"a key of two lines":  {append(slices.Clone(whole), prefix+"KEY=sk-123 x"), prefix + "KEY: must be printable ASCII"},
		"a key for nothing":   {append(slices.Clone(sampled), prefix+"KEY=sk-123"), prefix + "KEY: is set, but without calibration.judge.url"},
		"a model for nothing": {append(slices.Clone(sampled), prefix+"MODEL=m"), prefix + "MODEL: is set, but without calibration.judge.url"},
		"nothing to ask":      {whole[2:], prefix + "URL: is set, but without audit.calibration_sample"},
		"too fast":            {append(slices.Clone(whole), prefix+"PER_MINUTE=601"), prefix + "PER_MINUTE: must be from 1 to 600"},
		"never":               {append(slices.Clone(whole), prefix+"PER_MINUTE=0"), prefix + "PER_MINUTE: must be from 1 to 600"},
		"too slow":            {append(slices.Clone(whole), prefix+"TIMEOUT=46s"), prefix + "TIMEOUT: must be from 1s to 45s"},
	} {
		_, _, err := config.Load(config.LoadOptions{Env: c.env})
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "sk-123") {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
	for _, url := range []string{"https://judge.test/v1", "http://127.0.0.1:8000/v1", "http://[::1]/v1", "http://localhost:11434/v1"} {
		got, _, err := config.Load(config.LoadOptions{Env: append(slices.Clone(whole), prefix+"URL="+url)})
		if err != nil || got.Calibration.Judge.URL != url || got.Calibration.Judge.PerMinute != 10 {
			t.Errorf("%s: %+v, %v", url, got.Calibration.Judge, err)
		}
	}
	if got, _, err := config.Load(config.LoadOptions{}); err != nil || got.Calibration.Judge.URL != "" {
		t.Errorf("by default prompts go to %q, %v", got.Calibration.Judge.URL, err)
	}
}
