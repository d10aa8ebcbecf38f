package intent

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math"

	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/embed"
)

// Extended is a classifier with classes of a deployment's own. It is immutable and safe for concurrent use.
type Extended struct {
	*Classifier
	own     []ownClass
	version string
}

// ownClass is a class by the vectors of its description and examples, one after another.
type ownClass struct {
	label   string
	vectors []float32
}

// Extend gives a classifier that knows classes besides, by what they are said to be: a prompt is of such a class where its
// meaning is near to the description or to one of the examples, nearer than it is to what the built-in classes learnt from.
// A text without a word that the table knows says nothing and is an error.
func (c *Classifier) Extend(classes []Class) (*Extended, error) {
	e := &Extended{Classifier: c}
	digest := sha256.New()
	count := func(n int) { digest.Write(binary.LittleEndian.AppendUint64(nil, uint64(n))) }
	write := func(text string) {
		count(len(text))
		digest.Write([]byte(text))
	}
	for _, class := range classes {
		write(class.Label)
		own := ownClass{label: class.Label}
		texts := class.Examples
		if class.Description != "" {
			texts = append([]string{class.Description}, texts...)
		}
		count(len(texts)) // where a class ends
		for _, text := range texts {
			write(text)
			v := make(embed.Vector, c.dim)
			asPrompt(text).Meaning(c.table, v)
			if v.Dot(v) == 0 {
				return nil, fmt.Errorf("class %s: one of its texts has no word that the model knows", class.Label)
			}
			own.vectors = append(own.vectors, v...)
		}
		if len(own.vectors) == 0 {
			return nil, fmt.Errorf("class %s has neither a description nor examples", class.Label)
		}
		e.own = append(e.own, own)
	}
	e.version = c.m.Version + "+" + hex.EncodeToString(digest.Sum(nil)[:4])
	return e, nil
}

// asPrompt is the view of a prompt that says text.
func asPrompt(text string) *View {
	return NewView(core.Prompt{Parts: []core.Part{{Role: core.RoleUser, Kind: core.KindText, Text: text}}})
}

// Version names the weights and the classes that were added.
func (e *Extended) Version() string { return e.version }

// Labels gives the classes, those that were added last.
func (e *Extended) Labels() []string {
	labels := e.Classifier.Labels()
	for _, own := range e.own {
		labels = append(labels, own.label)
	}
	return labels
}

// Classify says what v asks for. A class that was added is named where it is sure enough to be, in place of what the built-in
// classes say; what they say stands in Top after it. It never takes the place of an intent of harm, see [Grave].
func (e *Extended) Classify(v *View) core.Intent {
	in := e.Classifier.Classify(v)
	in.Model = e.version
	if v.Unscored != "" {
		return in
	}
	label, p := e.nearestOwn(v)
	if p < ownFloor || Grave(in.Label) {
		return in
	}
	in.Label, in.Confidence = label, p
	in.Top = append([]core.LabelScore{{Label: label, P: p}}, in.Top[:min(len(in.Top), topClasses-1)]...)
	for i := range in.Top[1:] { // what is left of certainty is theirs
		in.Top[1+i].P *= 1 - p
	}
	return in
}

// How the probability of an added class follows from how much nearer it is than what the built-in classes learnt from. Chosen
// by the prompts of CLINC150 for choosing settings, each of its intents in turn a class of ten examples: the middle is where
// between 0.5 and 1 % of the prompts of other intents would be named. TestAddedClassesOnOthersPrompts measures on the rest.
const (
	ownNear   = 0.5 // what the cosine to the nearest prototype counts
	ownMiddle = 0.33
	ownSpread = 0.05
	// ownFloor is the probability from which an added class is named.
	ownFloor = 0.5
)

// nearestOwn gives the added class that v is nearest to, and how probable it is.
func (e *Extended) nearestOwn(v *View) (label string, p float64) {
	w := works.Get().(*work)
	if len(w.vector) != e.dim {
		w.vector = make(embed.Vector, e.dim)
	}
	v.Meaning(e.table, w.vector)
	most := float32(-1)
	for _, own := range e.own {
		for from := 0; from < len(own.vectors); from += e.dim {
			if near := w.vector.Dot(own.vectors[from : from+e.dim]); near > most {
				most, label = near, own.label
			}
		}
	}
	nearer := float64(most) - ownNear*e.nearest(w.vector)
	works.Put(w)
	return label, 1 / (1 + math.Exp((ownMiddle-nearer)/ownSpread))
}
