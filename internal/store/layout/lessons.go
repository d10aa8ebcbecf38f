package layout

import (
	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/store"
)

// LessonColumns are those of a lesson, in the order in which they are read and written.
const LessonColumns = "exchange, drawn, place"

// LessonValues are a lesson's columns.
func LessonValues(l core.Lesson) []any { return []any{l.Exchange, store.Micros(l.Drawn), l.Place} }

// ScanLesson reads a lesson.
func ScanLesson(row Scanner) (l core.Lesson, err error) {
	err = row.Scan(&l.Exchange, Micros{&l.Drawn}, &l.Place)
	return l, err
}
