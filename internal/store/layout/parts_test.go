package layout_test

import (
	"reflect"
	"testing"

	"github.com/plumbline/plumbline/internal/store"
	"github.com/plumbline/plumbline/internal/store/layout"
)

// TestPartsAreWhole: every list of a document is one part, and what comes before another refers to none that comes later.
func TestPartsAreWhole(t *testing.T) {
	var one store.Objects
	lists := reflect.ValueOf(&one).Elem()
	n := 0
	for i := range lists.NumField() {
		if list := lists.Field(i); list.Kind() == reflect.Slice { // the policy is no object of a document
			list.Set(reflect.MakeSlice(list.Type(), 1, 1))
			n++
		}
	}
	if len(layout.Parts) != n {
		t.Errorf("%d parts of a document that has %d lists", len(layout.Parts), n)
	}
	place, seen := map[string]int{}, map[reflect.Type]bool{}
	for i, p := range layout.Parts {
		place[p.Table] = i
		if n := len(p.In(one)); n != 1 {
			t.Fatalf("%s: %d objects of one", p.Name, n)
		}
		if of := reflect.TypeOf(p.In(one)[0]); seen[of] {
			t.Errorf("%s has the list of another", p.Name)
		} else {
			seen[of] = true
		}
	}
	for i, p := range layout.Parts {
		for _, r := range p.Referrer {
			if other, ok := place[r.Table]; ok && other < i {
				t.Errorf("%s comes before %s, which it refers to", r.Name, p.Name)
			}
		}
	}
}
