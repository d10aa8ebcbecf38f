package deviation_test

import (
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/deviation"
)

// TestFallbacks states what becomes of prompts that are no ordinary English: a score, or why there is none.
func TestFallbacks(t *testing.T) {
	texts := hostile()
	texts["only code"] = "```go\nfunc main() {\n\tfmt.Println(\"hello\")\n}\n```"
	texts["another script"] = "请帮我写一封求职信，并翻译成英文，谢谢"
	texts["a right-to-left script"] = "اكتب لي رسالة إلى العميل من فضلك"
	texts["base64"] = strings.Repeat("V3JpdGUgYSBwb2VtIGFib3V0IGEgZHJhZ29u", 20)
	want := map[string]core.Unscored{
		"4 MB of words": "", "4 MB without a space": core.UnscoredEncoded, "one token": core.UnscoredTooShort, "only emoji": core.UnscoredTooShort,
		"mixed scripts": core.UnscoredLanguage, "100000 distinct words": core.UnscoredLanguage, "not UTF-8": core.UnscoredLanguage, "zeros": core.UnscoredTooShort,
		"only code": core.UnscoredTooShort, "another script": core.UnscoredLanguage, "a right-to-left script": core.UnscoredLanguage, "base64": core.UnscoredEncoded,
	}
	s, tasks := shipped(t), all()
	for name, text := range texts {
		if d := s.Score(view(text), tasks); d.Unscored != want[name] || (d.Unscored == "") != (d.Task != "") {
			t.Errorf("%s: unscored for %q, want %q (nearest %q)", name, d.Unscored, want[name], d.Task)
		}
	}
}

// TestHostileTextsAreBoundedInMemory: what a view and a score of a prompt of 4 MB allocate is bounded, and a task of much text
// keeps what an ordinary one does and what its examples take.
func TestHostileTextsAreBoundedInMemory(t *testing.T) {
	s, tasks := shipped(t), all()
	texts := hostile()
	for _, name := range []string{"4 MB of words", "4 MB without a space", "100000 distinct words"} {
		text := texts[name]
		if took := allocated(func() { s.Score(view(text), tasks) }); took > 16<<20 {
			t.Errorf("%s: %d kB are allocated", name, took>>10)
		}
		task := core.Task{
			ID: "h", Title: text, Description: text, Topics: slices.Repeat([]string{text}, 500),
			Examples: slices.Repeat([]string{text}, 500), OutOfScope: slices.Repeat([]string{text}, 500),
		}
		var compiled *deviation.Task
		start := time.Now()
		kept := inUse(func() { compiled = s.Compile(task) })
		if took := time.Since(start); took > 20*time.Second {
			t.Errorf("a task of %s takes %v to compile", name, took)
		}
		if kept > 12<<20 {
			t.Errorf("a task of %s keeps %d kB", name, kept>>10)
		}
		runtime.KeepAlive(compiled)
	}
}

// allocated is how many bytes do allocates, whether they are let go of or not.
func allocated(do func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	do()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// inUse is how many bytes of what do allocates are still in use.
func inUse(do func()) int64 {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	do()
	runtime.GC()
	runtime.ReadMemStats(&after)
	return int64(after.HeapAlloc) - int64(before.HeapAlloc)
}

// TestTasksOfOtherLanguages: nothing of them can be compared, so every prompt is far from them, and what is in English of
// them still counts.
func TestTasksOfOtherLanguages(t *testing.T) {
	s := shipped(t)
	for name, task := range map[string]core.Task{
		"Chinese": {ID: "t", Title: "商务旅行", Topics: []string{"预订航班", "办公室附近的酒店"}},
		"Arabic":  {ID: "t", Title: "سفر العمل", Description: "احجز الرحلات للموظفين"},
		"nothing": {ID: "t"},
	} {
		if d := s.Score(view("Book a flight to Lisbon"), []*deviation.Task{s.Compile(task)}); d.Score < warn || d.Task != "t" {
			t.Errorf("%s: %+v", name, d)
		}
	}
	half := core.Task{ID: "t", Title: "商务旅行", Topics: []string{"book a flight"}}
	if d := s.Score(view("Book a flight to Lisbon"), []*deviation.Task{s.Compile(half)}); d.Score > warn/2 {
		t.Errorf("half in English: %+v", d)
	}
}

// TestContradictoryTaskIsScored: a task that says of the same prompt that it is and is not in its scope is scored, by what is in
// the scope.
func TestContradictoryTaskIsScored(t *testing.T) {
	task := travel
	for i := range 500 {
		text := fmt.Sprintf("Book the flight of group %d to Oslo", i)
		task.Examples, task.OutOfScope = append(task.Examples, text), append(task.OutOfScope, text)
	}
	d := shipped(t).Score(view("Book the flight of group 7 to Oslo"), []*deviation.Task{deviation.Compile(task)})
	if d.Score > warn/2 || d.OutOfScope != 0 {
		t.Errorf("%+v", d)
	}
}
