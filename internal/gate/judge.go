package gate

import (
	"github.com/plumbline/plumbline/internal/calibrate"
	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/detect"
	"github.com/plumbline/plumbline/internal/deviation"
	"github.com/plumbline/plumbline/internal/intent"
	"github.com/plumbline/plumbline/internal/policy"
	"github.com/plumbline/plumbline/internal/sysprompt"
	"github.com/plumbline/plumbline/internal/telemetry"
)

// Judges tell what is in a prompt. What people try and the cases of a policy are judged by them as requests are.
type Judges struct {
	Classifier Classifier
	Scorer     Scorer
	// Prompts are the system prompts of the app that asks, nil for none that are known.
	Prompts *sysprompt.Set
	// Calibration is what labelled prompts say of scores, nil for nothing, and Enough how many of them the policy asks for.
	Calibration *calibrate.InForce
	Enough      int
}

// classes are a classifier with what one policy adds.
type classes struct {
	policy     *policy.Snapshot
	classifier Classifier
}

// classifier gives the one that knows the classes of a policy. It is made once for all requests under it.
func (g *Gate) classifier(p *policy.Snapshot) Classifier {
	if g.o.Extend == nil || len(p.Classes()) == 0 {
		return g.o.Classifier
	}
	last := g.classes.Load()
	if last == nil || last.policy != p {
		last = &classes{p, g.o.Extend(p)}
		g.classes.Store(last)
	}
	return last.classifier
}

// Judge adds to the facts what a prompt is found to be: what it holds that it should not, what is asked, and how far it leans
// from the tasks. done is told of the end of each stage.
//
// What the app says itself is not judged. Where it is known what that is, what else stands in system and developer messages is
// judged as if a person had asked for it, and the facts are those of the worse of both. The view that is given back is that of
// what the user says.
func (j Judges) Judge(f *policy.Facts, prompt core.Prompt, tasks []*deviation.Task, done func(telemetry.Stage)) *intent.View {
	f.Found = detect.Prompt(prompt)
	done(telemetry.StageDetect)

	judged, foreign := j.Prompts.Split(prompt)
	view := intent.NewView(judged)
	f.Intent, f.TurnsUnjudged = j.Classifier.Classify(view), view.Left
	var hidden *intent.View
	if len(foreign.Parts) > 0 {
		hidden = intent.NewView(foreign)
		f.Intent = graver(f.Intent, j.Classifier.Classify(hidden))
		f.TurnsUnjudged += hidden.Left
	}
	done(telemetry.StageIntent)

	f.Tasks = make([]string, len(tasks))
	for i, t := range tasks {
		f.Tasks[i] = t.ID()
	}
	f.Deviation = j.Scorer.Score(view, tasks)
	if hidden != nil {
		f.Deviation = further(f.Deviation, j.Scorer.Score(hidden, tasks))
	}
	j.calibrate(f)
	done(telemetry.StageDeviation)
	return view
}

// calibrate says how the deviation stands among prompts that people labelled: by those the policy may block, and by no others.
func (j Judges) calibrate(f *policy.Facts) {
	c := j.Calibration.Judge(&f.Deviation, j.Enough)
	f.Deviation.P, f.Deviation.N, f.Deviation.Calibrated = c.P, c.N, c.P != nil
	f.Calibration = policy.Calibration{Version: c.Version, Text: c.Text}
}

// graver is the intent of what is hidden where that is one of harm, or where what the user says has none that is sure. It never
// takes the place of a sure one otherwise: a policy may forbid that, and text beside it must not cover it.
func graver(asked, hidden core.Intent) core.Intent {
	switch {
	case hidden.Unscored != "":
		return asked
	case asked.Unscored != "":
		return hidden
	case asked.Label == core.LabelUncertain && hidden.Label != core.LabelUncertain, intent.Grave(hidden.Label) && !intent.Grave(asked.Label):
		return hidden
	}
	return asked
}

// further is the deviation of what is hidden where that leans further, or where what the user says cannot be scored.
func further(asked, hidden core.Deviation) core.Deviation {
	if hidden.Unscored == "" && (asked.Unscored != "" || hidden.Score > asked.Score) {
		return hidden
	}
	return asked
}
