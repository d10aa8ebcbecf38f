package store

import (
	"context"
	"time"

	"github.com/plumbline/plumbline/internal/core"
)

// Lessons holds the prompts that were drawn at random and set aside to learn from. Which ones those are never changes: what may
// train is decided once, when it is drawn, and can be labelled by nobody from then on. Methods must be safe for concurrent use,
// also by several processes. No text of a prompt is in it, and nothing of it is control data: it must not be in the feed.
type Lessons interface {
	// SetAside must add lessons; those that it has stay as they are, and those that Labels has, in the queue or with a label,
	// stay out of it. It must refuse all where one is not valid (ErrInvalid).
	SetAside(ctx context.Context, lessons ...core.Lesson) error
	// List must give lessons in the order of their places, from after on, at most Page{Limit: limit}.Size() of them. It must
	// leave out what somebody labelled.
	List(ctx context.Context, after int64, limit int) ([]core.Lesson, error)
	// Count must say how many there are.
	Count(ctx context.Context) (int64, error)
	// Expire must forget those that were drawn before a time, and say how many those were.
	Expire(ctx context.Context, before time.Time) (int64, error)
}

// ValidateLesson reports all that is wrong with a lesson.
func ValidateLesson(l core.Lesson) error {
	var p problems
	p.word("exchange", l.Exchange, maxExchange)
	p.drawn(l.Drawn, l.Place)
	return p.err(LessonKind, l.Exchange)
}

// drawn checks what is known of anything that was drawn at random.
func (p *problems) drawn(at time.Time, place int64) {
	p.time("drawn", at)
	if at.IsZero() {
		p.add("drawn is missing")
	}
	if place <= 0 {
		p.add("place must be positive")
	}
}

// LessonKind is what errors call a lesson, and ModelKind what the feed calls a model.
const (
	LessonKind = "lesson"
	ModelKind  = "model"
)

// What the feed calls the choice of a model is UseAction, and the way back to one RestoreAction. ProposeAction puts one beside it
// that was made here, and changes nothing.
const (
	UseAction     = "use"
	ProposeAction = "propose"
)
