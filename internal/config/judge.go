package config

import (
	"net"
	"net/url"
	"strings"
	"time"
)

// Bounds of the judge. An attempt has to fit into a run of its job, which is a minute.
const (
	maxPerMinute    = 600
	minJudgeTimeout = time.Second
	maxJudgeTimeout = 45 * time.Second
	maxJudgeModel   = 128
)

// check reports what is wrong with the judge.
func (j Judge) check(a Audit, problem func(setting, message string)) {
	if j.URL == "" {
		const unused = "is set, but without calibration.judge.url nothing would use it"
		if j.Model != "" {
			problem("calibration.judge.model", unused)
		}
		if !j.Key.IsZero() {
			problem("calibration.judge.key", unused)
		}
	} else {
		j.checkUse(a, problem)
	}
	if j.PerMinute < 1 || j.PerMinute > maxPerMinute {
		problem("calibration.judge.per_minute", "must be from 1 to 600")
	}
	if j.Timeout < minJudgeTimeout || j.Timeout > maxJudgeTimeout {
		problem("calibration.judge.timeout", "must be from 1s to 45s")
	}
}

func (j Judge) checkUse(a Audit, problem func(setting, message string)) {
	u, err := url.Parse(j.URL)
	switch {
	case err != nil || u.Hostname() == "" || u.Scheme != "https" && u.Scheme != "http":
		problem("calibration.judge.url", "must be a URL such as https://api.openai.com/v1")
	case u.User != nil || u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		problem("calibration.judge.url", "must not hold a user, a password, a query or a fragment")
	case u.Scheme == "http" && !isLoopback(net.JoinHostPort(u.Hostname(), "80")):
		problem("calibration.judge.url", "must begin with https://: over plain HTTP prompts may go to this machine alone")
	}
	if j.Model == "" || len(j.Model) > maxJudgeModel || strings.ContainsFunc(j.Model, notPlain) {
		problem("calibration.judge.model", "must name the model, in at most 128 characters of printable ASCII without spaces")
	}
	if strings.ContainsFunc(j.Key.Reveal(), notPlain) || len(j.Key.Reveal()) > maxSecret {
		problem("calibration.judge.key", "must be printable ASCII without spaces, as it goes into a header")
	}
	if a.CalibrationSample == 0 {
		problem("calibration.judge.url", "is set, but without audit.calibration_sample there is nothing to ask about")
	}
}

func notPlain(r rune) bool { return r <= ' ' || r > '~' }
