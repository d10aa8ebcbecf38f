package gate

import (
	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/detect"
	"github.com/plumbline/plumbline/internal/deviation"
	"github.com/plumbline/plumbline/internal/intent"
	"github.com/plumbline/plumbline/internal/policy"
	"github.com/plumbline/plumbline/internal/telemetry"
)

// Judges tell what is in a prompt. Cases of a policy are judged by them as requests are.
type Judges struct {
	Classifier Classifier
	Scorer     Scorer
}

// Judge adds to the facts what a prompt is found to be: what it holds that it should not, what is asked, and how far it leans
// from the tasks. done is told of the end of each stage.
func (j Judges) Judge(f *policy.Facts, prompt core.Prompt, tasks []*deviation.Task, done func(telemetry.Stage)) *intent.View {
	f.Found = detect.Prompt(prompt)
	done(telemetry.StageDetect)

	view := intent.NewView(prompt)
	f.Intent = j.Classifier.Classify(view)
	done(telemetry.StageIntent)

	f.Tasks = make([]string, len(tasks))
	for i, t := range tasks {
		f.Tasks[i] = t.ID()
	}
	f.Deviation = j.Scorer.Score(view, tasks)
	done(telemetry.StageDeviation)
	return view
}
