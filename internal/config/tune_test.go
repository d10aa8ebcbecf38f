package config_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/plumbline/plumbline/internal/config"
)

// TestTune: nothing is set aside or learnt from unless it is asked for in full.
func TestTune(t *testing.T) {
	const prefix = "PLUMBLINE_DEVIATION_TUNE_"
	sampled := []string{"PLUMBLINE_AUDIT_CALIBRATION_SAMPLE=2%", "PLUMBLINE_AUDIT_MASTER_KEY_FILE=masters"}
	whole := append(slices.Clone(sampled), prefix+"SHARE=50%", prefix+"EVERY=720h", prefix+"TEACHER=teacher.whl")
	with := func(settings ...string) []string { return append(slices.Clone(whole), settings...) }
	for name, c := range map[string]struct {
		env  []string
		want string
	}{
		"nothing is drawn":   {whole[2:], prefix + "SHARE: is set, but without audit.calibration_sample"},
		"too often":          {with(prefix + "EVERY=23h"), prefix + "EVERY: must be 0s or at least 24h"},
		"backwards":          {with(prefix + "EVERY=-24h"), prefix + "EVERY: must be 0s or at least 24h"},
		"nobody teaches":     {with(prefix + "TEACHER="), prefix + "TEACHER: must be set"},
		"nothing is aside":   {with(prefix + "SHARE=0%"), prefix + "SHARE: must be set"},
		"too few to teach":   {with(prefix + "PROMPTS=499"), prefix + "PROMPTS: must be from 500"},
		"too many for a job": {with(prefix + "PROMPTS=10001"), prefix + "PROMPTS: must be from 500"},
		"more than all":      {with(prefix + "SHARE=101%"), prefix + "SHARE"},
	} {
		if _, _, err := config.Load(config.LoadOptions{Env: c.env}); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
	got, _, err := config.Load(config.LoadOptions{Env: whole})
	if tune := got.Deviation.Tune; err != nil || tune.Share.Fraction() != 0.5 || tune.Every != 720*time.Hour || tune.Prompts != 3000 {
		t.Errorf("%+v, %v", tune, err)
	}
	if got, _, err := config.Load(config.LoadOptions{}); err != nil || got.Deviation.Tune.Every != 0 || got.Deviation.Tune.Share != 0 {
		t.Errorf("by default %+v, %v", got.Deviation.Tune, err)
	}
}
