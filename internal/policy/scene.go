package policy

import (
	"time"

	"github.com/plumbline/plumbline/internal/condition"
	"github.com/plumbline/plumbline/internal/core"
)

// scene is what a condition sees of one decision: facts as they are recorded, so that a replay sees the same.
type scene struct {
	facts *Facts
	zone  *time.Location
}

// Sizes that values have at most, as a rule. Ids of people, teams and apps are no longer; a model can be named otherwise.
const (
	idSize = 64
	lists  = 20
)

// newEnv declares what conditions can read. Whatever stands here is in every record: nothing else may.
func newEnv() (*condition.Env[scene], error) {
	text := func(name, doc string, of func(*Facts) string) condition.Variable[scene] {
		return condition.Text(name, idSize, doc, func(s *scene) string { return of(s.facts) })
	}
	clock := func(name, doc string, of func(time.Time) int) condition.Variable[scene] {
		return condition.Whole(name, doc, func(s *scene) int { return of(s.local()) })
	}
	texts := func(name, doc string, of func(*Facts) []string) condition.Variable[scene] {
		return condition.Texts(name, lists, doc, func(s *scene) []string { return of(s.facts) })
	}
	return condition.NewEnv(
		text("user", "The person's id; empty where an app calls for itself.", func(f *Facts) string { return f.Principal.User }),
		text("team", "The id of their team; empty for none.", func(f *Facts) string { return f.Principal.Team }),
		text("app", "The id of the app; empty for none.", func(f *Facts) string { return f.Principal.App }),
		text("method", "How the caller proved who it is: app_key, token or mesh.", func(f *Facts) string { return string(f.Principal.Method) }),
		text("endpoint", "What is called, like chat.completions.", func(f *Facts) string { return f.Endpoint }),
		text("model", "The model that is asked for; empty where none is.", func(f *Facts) string { return f.Model }),
		condition.Flag("priced", "Whether the model has a price.", func(s *scene) bool { return s.facts.Priced }),
		texts("tasks", "The ids of the person's tasks.", func(f *Facts) []string { return f.Tasks }),
		texts("opaque", "The media types of what could not be read, like image/png.", func(f *Facts) []string { return f.Opaque }),
		condition.Whole("turns_unjudged", "How many turns of a long conversation are older than the eight that intent and deviation are judged by.", func(s *scene) int { return s.facts.TurnsUnjudged }),
		text("intent.label", "The intent; uncertain; or empty where the prompt was not judged.", func(f *Facts) string { return f.Intent.Label }),
		condition.Number("intent.confidence", "How sure that is, from 0 to 1.", func(s *scene) float64 { return finite(s.facts.Intent.Confidence) }),
		text("intent.unscored", "Why there is no intent; empty where there is.", func(f *Facts) string { return string(f.Intent.Unscored) }),
		condition.Number("deviation.score", "How far from the nearest task, from 0 to 1; 0 where it was not scored.", func(s *scene) float64 { return finite(s.facts.Deviation.Score) }),
		condition.Flag("deviation.calibrated", "Whether a calibration backs the score.", func(s *scene) bool { return s.facts.Deviation.Calibrated }),
		condition.Number("deviation.p", "Of the labelled prompts on task, this one counted among them, the share that is as far or farther; 1 where no calibration backs the score.", (*scene).p),
		condition.Whole("deviation.n", "How many labelled prompts deviation.p rests on; 0 where it rests on none.", func(s *scene) int { return s.facts.Deviation.N }),
		text("deviation.task", "The id of the nearest task.", func(f *Facts) string { return f.Deviation.Task }),
		text("deviation.unscored", "Why there is no score; empty where there is.", func(f *Facts) string { return string(f.Deviation.Unscored) }),
		texts("secrets", "The kinds of secrets in the prompt.", func(f *Facts) []string { return kindsOf(f.Found.Secrets) }),
		texts("attacks", "The forms of attacks in the prompt.", func(f *Facts) []string { return kindsOf(f.Found.Attacks) }),
		condition.Text("time.date", 10, "The day, like 2026-03-02, in timezone.", func(s *scene) string { return s.local().Format(time.DateOnly) }),
		condition.Text("time.weekday", 9, "monday to sunday, in timezone.", func(s *scene) string { return weekdays[s.local().Weekday()] }),
		clock("time.hour", "0 to 23, in timezone.", time.Time.Hour),
		clock("time.minute", "0 to 59.", time.Time.Minute),
	)
}

// ConditionFacts names what conditions can read, in the order of the reference.
func ConditionFacts() []string {
	env, err := newEnv()
	if err != nil { // the declarations are fixed
		return nil
	}
	names := make([]string, len(env.Variables()))
	for i, v := range env.Variables() {
		names[i] = v.Name()
	}
	return names
}

// p is the p value of the deviation. Where there is none it is 1: of what nobody labelled nothing is known to be nearer.
func (s *scene) p() float64 {
	if p := s.facts.Deviation.P; p != nil {
		return finite(*p)
	}
	return 1
}

// local is the time of admission in the policy's zone, as it is recorded.
func (s *scene) local() time.Time { return recordedTime(s.facts.At).In(s.zone) }

var weekdays = [...]string{"sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"}

func kindsOf(found []core.Sighting) []string {
	if len(found) == 0 {
		return nil
	}
	kinds := make([]string, len(found))
	for i := range found {
		kinds[i] = found[i].Kind
	}
	return kinds
}
