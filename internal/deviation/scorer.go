package deviation

import (
	"crypto/sha256"
	_ "embed" // the generic sentences
	"encoding/hex"
	"errors"
	"strings"
	"sync"

	"github.com/plumbline/plumbline/internal/embed"
)

// genericSentences are what anybody might write, on no task: a line each. tools/train takes them from public text.
//
//go:embed generic.txt
var genericSentences string

// method names how scores are made of a table. A change that changes scores has to change it.
const method = "aligned-4"

// Scorer scores views against tasks. It is immutable and safe for concurrent use.
type Scorer struct {
	table      *embed.Table
	version    string
	activities []embed.Short
	generic    []*query
	length     float32         // mean of the generic sentences' vectors, before they are made 1
	form       map[uint32]bool // stems of formWords
	queries    sync.Pool
	rests      sync.Pool
}

// New gives a scorer with the words and meanings of table.
func New(table *embed.Table) (*Scorer, error) {
	s := &Scorer{table: table, form: formStems()}
	s.queries.New = func() any { return new(query) }
	s.rests.New = func() any { return new(rest) }
	made := sha256.New()
	for _, part := range []string{method, table.Version(), strings.Join(activities, "\n"), genericSentences, formWords} {
		made.Write([]byte(part + "\n"))
	}
	s.version = method + "-" + hex.EncodeToString(made.Sum(nil)[:4])
	for _, activity := range activities {
		s.activities = append(s.activities, table.Text(activity).Short())
	}
	for text := range strings.Lines(genericSentences) {
		if q := s.query(text); q != nil {
			s.generic = append(s.generic, q)
			s.length += q.length
		}
	}
	if len(s.generic) < 2 {
		return nil, errors.New("deviation: there are no generic sentences")
	}
	s.length /= float32(len(s.generic))
	return s, nil
}

// query reads text that is no prompt, nil when it has no word of content.
func (s *Scorer) query(text string) *query {
	q := new(query)
	if !s.prepareText(q, text) {
		return nil
	}
	return q
}

// Generic gives the generic sentences: what anybody might write, on no task.
func Generic() []string { return strings.Split(strings.TrimSpace(genericSentences), "\n") }

// Version names the model, e.g. for audit records: how the score is made, and of what. Where a task was compiled beside a
// background, a deviation from it says that one's version too.
func (s *Scorer) Version() string { return s.version }
