package policy

import (
	"encoding"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/plumbline/plumbline/internal/yamldoc"
)

// Change is one difference between two policies.
type Change struct {
	// Path is where it is, as the reference and rules name places: models.teams.billing, rules.o3-by-day.when. What is added to
	// a list of words, or taken from it, has the path of the list.
	Path string     `json:"path"`
	Kind ChangeKind `json:"change"`
	// Old and New are what the policies say there, nil for nothing: the new and the old order of a list that is reordered.
	Old any `json:"old,omitempty"`
	New any `json:"new,omitempty"`
}

// ChangeKind says what became of something.
type ChangeKind string

// The kinds of changes.
const (
	Added     ChangeKind = "added"
	Removed   ChangeKind = "removed"
	Changed   ChangeKind = "changed"
	Reordered ChangeKind = "reordered"
)

// Diff gives what is other in after than in before, in the order of the reference. Both are compared as they hold, defaults
// included: notation and remarks make no difference. Two policies with no difference have the same version; those that differ
// in cases alone have it too.
func Diff(before, after *Snapshot) []Change {
	d := differ{}
	d.fields("", reflect.ValueOf(before.doc.explicit()), reflect.ValueOf(after.doc.explicit()))
	return d.changes
}

// explicit is the canonical document with the defaults that it leaves out, and with its cases.
func (doc Document) explicit() Document {
	e, usual := doc.canonical(), defaults()
	e.Cases, e.CaseTasks, e.CaseSystemPrompts = doc.Cases, doc.CaseTasks, doc.CaseSystemPrompts
	if e.Timezone == "" {
		e.Timezone = usual.Timezone
	}
	if e.Deviation.Promise == 0 {
		e.Deviation.Promise = usual.Deviation.Promise
	}
	for _, mode := range []*DetectionMode{&e.Intents.Mode, &e.Deviation.Mode} {
		if *mode == "" {
			*mode = modeAsPolicy
		}
	}
	if reflect.ValueOf(e.Endpoints).IsZero() {
		e.Endpoints = usual.Endpoints
	}
	return e
}

// titled is an item of a list that has a name of its own.
type titled interface{ entryName() string }

func (r Rule) entryName() string        { return r.Name }
func (c IntentClass) entryName() string { return c.Label }
func (c Case) entryName() string        { return c.Name }
func (t CaseTask) entryName() string    { return t.ID }

type differ struct{ changes []Change }

func (d *differ) add(kind ChangeKind, path string, before, after any) {
	d.changes = append(d.changes, Change{path, kind, before, after})
}

// whole notes a value that one side alone has.
func (d *differ) whole(path string, before, after reflect.Value) {
	if before.IsValid() {
		d.add(Removed, path, before.Interface(), nil)
	} else {
		d.add(Added, path, nil, after.Interface())
	}
}

// fields compares two structs. Their keys are those of documents.
func (d *differ) fields(path string, before, after reflect.Value) {
	for i := range before.NumField() {
		key, how, _ := strings.Cut(before.Type().Field(i).Tag.Get("json"), ",")
		if path != "" {
			key = path + "." + key
		}
		a, b := before.Field(i), after.Field(i)
		if how == "omitzero" && ofWords(a) && a.IsNil() != b.IsNil() {
			d.whole(key, unlessNil(a), unlessNil(b)) // a list that is not written says something else than one of nothing
			continue
		}
		d.value(key, a, b)
		if how != "omitempty" && (a.Kind() == reflect.Slice || a.Kind() == reflect.Map) && a.Len()+b.Len() == 0 && a.IsNil() != b.IsNil() {
			d.whole(key, unlessNil(a), unlessNil(b)) // says nothing, and still makes another version
		}
	}
}

func ofWords(v reflect.Value) bool {
	return v.Kind() == reflect.Slice && v.Type().Elem().Kind() != reflect.Struct
}

func unlessNil(v reflect.Value) reflect.Value {
	if v.IsNil() {
		return reflect.Value{}
	}
	return v
}

// value compares two values of one type.
func (d *differ) value(path string, before, after reflect.Value) {
	_, isText := before.Interface().(encoding.TextMarshaler)
	switch kind := before.Kind(); {
	case reflect.DeepEqual(before.Interface(), after.Interface()):
	case isText:
		d.add(Changed, path, before.Interface(), after.Interface())
	case kind == reflect.Struct:
		d.fields(path, before, after)
	case kind == reflect.Map:
		d.entries(path, before, after)
	case ofWords(before):
		d.words(path, before, after)
	case kind == reflect.Slice:
		d.items(path, before, after)
	case kind == reflect.Pointer && before.IsNil() != after.IsNil():
		d.whole(path, unlessNil(before), unlessNil(after))
	default:
		d.add(Changed, path, before.Interface(), after.Interface())
	}
}

// entries compares two maps by their keys.
func (d *differ) entries(path string, before, after reflect.Value) {
	keys := map[string]bool{}
	for _, m := range []reflect.Value{before, after} {
		for _, k := range m.MapKeys() {
			keys[k.String()] = true
		}
	}
	for _, key := range slices.Sorted(maps.Keys(keys)) {
		a, b := before.MapIndex(reflect.ValueOf(key)), after.MapIndex(reflect.ValueOf(key))
		at := yamldoc.Key(path, key)
		if a.IsValid() && b.IsValid() {
			d.value(at, a, b)
		} else {
			d.whole(at, a, b)
		}
	}
}

// words compares two lists of words by what they hold, and then by their order.
func (d *differ) words(path string, before, after reflect.Value) {
	a, b := anyOf(before), anyOf(after)
	common := func(list, other []any, only ChangeKind) (both []any) {
		left := slices.Clone(other)
		for _, item := range list {
			i := slices.Index(left, item)
			switch {
			case i >= 0:
				both, left = append(both, item), slices.Delete(left, i, i+1)
			case only == Removed:
				d.add(Removed, path, item, nil)
			default:
				d.add(Added, path, nil, item)
			}
		}
		return both
	}
	stayed := common(a, b, Removed)
	d.order(path, stayed, common(b, a, Added))
}

func (d *differ) order(path string, before, after []any) {
	if !slices.Equal(before, after) {
		d.add(Reordered, path, before, after)
	}
}

func anyOf(list reflect.Value) []any {
	all := make([]any, list.Len())
	for i := range all {
		all[i] = list.Index(i).Interface()
	}
	return all
}

// items compares two lists of entries by the names of these. Entries without one, or with that of another, are the same where
// all that they say is.
func (d *differ) items(path string, before, after reflect.Value) {
	a, b := named(before), named(after)
	var stayed, now []any
	for _, name := range a.names {
		if _, both := b.at[name]; both {
			stayed = append(stayed, name)
		}
	}
	for _, name := range b.names {
		if _, both := a.at[name]; both {
			now = append(now, name)
		}
	}
	for _, name := range a.names {
		if j, both := b.at[name]; both {
			d.value(yamldoc.Key(path, name), before.Index(a.at[name]), after.Index(j))
		} else {
			d.whole(yamldoc.Key(path, name), before.Index(a.at[name]), reflect.Value{})
		}
	}
	for _, name := range b.names {
		if _, both := a.at[name]; !both {
			d.whole(yamldoc.Key(path, name), reflect.Value{}, after.Index(b.at[name]))
		}
	}
	d.order(path, stayed, now)
	d.unnamed(path, before, after, a.others, b.others)
}

// unnamed compares entries without a name.
func (d *differ) unnamed(path string, before, after reflect.Value, a, b []int) {
	for _, i := range a {
		same := func(j int) bool { return reflect.DeepEqual(before.Index(i).Interface(), after.Index(j).Interface()) }
		if j := slices.IndexFunc(b, same); j >= 0 {
			b = slices.Delete(b, j, j+1)
		} else {
			d.whole(yamldoc.Index(path, i), before.Index(i), reflect.Value{})
		}
	}
	for _, j := range b {
		d.whole(yamldoc.Index(path, j), reflect.Value{}, after.Index(j))
	}
}

// entryNames are those of the entries of a list.
type entryNames struct {
	names  []string       // in order
	at     map[string]int // where each stands
	others []int          // entries without one
}

func named(list reflect.Value) entryNames {
	count := map[string]int{}
	nameOf := func(i int) string {
		e, ok := list.Index(i).Interface().(titled)
		if !ok {
			return ""
		}
		return e.entryName()
	}
	for i := range list.Len() {
		count[nameOf(i)]++
	}
	n := entryNames{at: map[string]int{}}
	for i := range list.Len() {
		name := nameOf(i)
		if name == "" || count[name] > 1 {
			n.others = append(n.others, i)
			continue
		}
		n.names = append(n.names, name)
		n.at[name] = i
	}
	return n
}
