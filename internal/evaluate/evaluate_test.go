package evaluate

import (
	"bytes"
	"compress/gzip"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/plumbline/plumbline/internal/deviation"
)

const tasksFile = `[
  {"id": "trips", "title": "Business travel", "description": "Book trips.", "topics": ["flights", "hotel rooms"],
   "set": "ours", "labels": ["travel"], "negative_sets": ["other"]},
  {"id": "bills", "title": "Invoices", "description": "Explain bills.", "topics": ["refunds and charges"],
   "set": "ours", "labels": ["billing", "refund"]}
]
`

const promptsFile = `{"set": "ours", "label": "travel", "text": "Book a flight to Lisbon"}
{"set": "ours", "label": "travel", "text": "Reserve a hotel room in Oslo"}
{"set": "ours", "label": "travel", "text": "Which flights leave on Monday?"}

{"set": "ours", "label": "billing", "text": "Explain the charge on this invoice"}
{"set": "ours", "label": "refund", "text": "Refund the bill of May"}
{"set": "ours", "label": "refund", "text": "The invoice was paid twice"}
{"set": "other", "label": "games", "text": "Beat the final boss of this video game"}
{"set": "other", "label": "verse", "text": "Compose a poem about autumn rain"}
{"set": "other", "label": "verse", "text": "and of it"}
`

func read(t *testing.T) ([]Task, []Prompt) {
	t.Helper()
	tasks, err := ReadTasks("tasks.json", strings.NewReader(tasksFile))
	if err != nil {
		t.Fatal(err)
	}
	prompts, err := ReadPrompts("prompts.jsonl", strings.NewReader(promptsFile))
	if err != nil {
		t.Fatal(err)
	}
	return tasks, prompts
}

func TestReadsPackedPrompts(t *testing.T) {
	_, plain := read(t)
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := z.Write([]byte(promptsFile)); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	packed, err := ReadPrompts("prompts.jsonl.gz", bytes.NewReader(b.Bytes()))
	if diff := cmp.Diff(plain, packed); err != nil || diff != "" {
		t.Error(err, diff)
	}
	if _, err := ReadPrompts("p", bytes.NewReader(b.Bytes()[:b.Len()-9])); err == nil {
		t.Error("a packed file that is cut off is read without an error")
	}
}

func TestBadInputIsNamedByLine(t *testing.T) {
	task := func(members string) string {
		return "[\n" + `{"id":"a","title":"A","set":"s","labels":["l"]},` + "\n{" + members + "}]"
	}
	for _, c := range []struct{ text, want string }{
		{"", "t:1: must be a JSON array of tasks"},
		{"{}", "t:1: must be a JSON array of tasks"},
		{"[]", "t: holds no task"},
		{"[\n\n", "t:3: "},
		{task(`"id":"a","title":"A","set":"s","labels":["l"]`), `t:3: the task that ends here has the id "a", as that at t:2 has`},
		{task(`"title":"A","set":"s","labels":["l"]`), "t:3: the task that ends here: id is missing"},
		{task(`"id":"b","set":"s","labels":["l"]`), "title, description and topics are all missing"},
		{task(`"id":"b","title":"B","labels":["l"]`), "set is missing"},
		{task(`"id":"b","title":"B","set":"s"`), "labels are missing"},
		{task(`"id":"b","title":"B","set":"s","labels":["l"],"negative_sets":["s"]`), `negative_sets names "s"`},
		{task(`"id":"b","label":"B"`), `t:3: unknown member "label"`},
		{task(`"id":"b","labels":"B"`), `t:3: "labels" must be of another kind`},
		{task(`"id":"b"`) + "\n1", "t:3: "},
		{`[{"id":"a","title":"A","set":"s","labels":["l"]}]` + "\n[]", "t:2: something follows"},
	} {
		if _, err := ReadTasks("t", strings.NewReader(c.text)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %s", c.text, err, c.want)
		}
	}
	good := `{"set":"s","label":"l","text":"secret words"}` + "\n"
	for _, c := range []struct{ text, want string }{
		{"\n\n", "p: holds no prompt"},
		{good + "\n{", "p:3: "},
		{good + `{"set":"s","label":"l","text":""}`, "p:2: set, label and text must all be there"},
		{good + `{"set":"s","label":1,"text":"secret words"}`, `p:2: "label" must be of another kind`},
		{good + `"secret words"`, "p:2: "},
		{good + strings.Repeat("x", maxLine+1), "p:2: longer than"},
	} {
		if _, err := ReadPrompts("p", strings.NewReader(c.text)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%.80s: %v, want %s", c.text, err, c.want)
		} else if strings.Contains(err.Error(), "secret") {
			t.Errorf("quotes a prompt: %v", err)
		}
	}
}

func TestWhatDoesNotFitTogether(t *testing.T) {
	tasks, prompts := read(t)
	change := func(f func(*Task)) []Task { t := slices.Clone(tasks); f(&t[0]); return t }
	for _, c := range []struct {
		tasks   []Task
		options Options
		want    string
	}{
		{tasks, Options{Examples: -1, Seeds: 1}, "must not be negative"},
		{tasks, Options{Seeds: 0}, "at least 1"},
		{tasks, Options{Examples: 2, Seeds: 1}, `task "trips": 3 prompts are on it: too few for 2 examples`},
		{change(func(t *Task) { t.Labels = []string{"travel", "trip"} }), Options{Seeds: 1}, `no prompt of set "ours" has the label "trip"`},
		{change(func(t *Task) { t.NegativeSets = []string{"none"} }), Options{Seeds: 1}, `no prompt of the negative set "none"`},
		{change(func(t *Task) { t.Set, t.Labels, t.NegativeSets = "other", []string{"games", "verse"}, nil }), Options{Seeds: 1}, "no prompt is off it"},
	} {
		if _, err := Deviation(t.Context(), shipped(t), c.tasks, prompts, c.options); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v, want %s", err, c.want)
		}
	}
}

func TestReport(t *testing.T) {
	tasks, prompts := read(t)
	for _, o := range []Options{{Seeds: 7}, {Examples: 1, Seeds: 3}} {
		r, err := Deviation(t.Context(), shipped(t), tasks, prompts, o)
		if err != nil {
			t.Fatal(err)
		}
		again, err := Deviation(t.Context(), shipped(t), tasks, prompts, o)
		if diff := cmp.Diff(r, again); err != nil || diff != "" {
			t.Errorf("a second time: %v %s", err, diff)
		}
		trips := r.Tasks[0]
		if trips.Positives != 3-o.Examples || trips.Negatives != 6 || trips.Unscored != 1 || trips.AUROC != 1 || trips.Caught != 1 || trips.FPR95 != 0 {
			t.Errorf("%+v", trips)
		}
		if want := (r.Tasks[0].AUROC + r.Tasks[1].AUROC) / 2; r.Macro.AUROC != want {
			t.Errorf("macro %v, want %v", r.Macro.AUROC, want)
		}
		if o.Examples == 0 && r.Seeds != 1 {
			t.Errorf("%d rounds of the same", r.Seeds)
		}
	}
}

// TestAreaAgreesWithReference compares all pairs one by one.
func TestAreaAgreesWithReference(t *testing.T) {
	values := rapid.SliceOfN(rapid.Map(rapid.IntRange(0, 9), func(i int) float64 { return float64(i) }), 2, 30)
	rapid.Check(t, func(t *rapid.T) {
		high, low := values.Draw(t, "high"), values.Draw(t, "low")
		slices.Sort(high)
		slices.Sort(low)
		want := 0.0
		for _, h := range high {
			for _, l := range low {
				switch {
				case h > l:
					want++
				case h == l:
					want += 0.5
				}
			}
		}
		want /= float64(len(high) * len(low))
		got, variance := area(high, low)
		if math.Abs(got-want) > 1e-12 || variance < 0 || variance > 0.5 {
			t.Fatalf("%v ± %v, want %v", got, variance, want)
		}
		for _, share := range []float64{0.01, 0.05, 0.5} {
			at := limit(low, share)
			if above(low, at) > share || at > low[0] && above(low, math.Nextafter(at, -1)) <= share {
				t.Fatalf("%v of %v: limit %v", share, low, at)
			}
		}
	})
}

func FuzzReadTasks(f *testing.F) {
	f.Add([]byte(tasksFile))
	f.Fuzz(func(t *testing.T, data []byte) {
		tasks, err := ReadTasks("t", bytes.NewReader(data))
		if (err == nil) != (len(tasks) > 0) {
			t.Fatal(len(tasks), err)
		}
	})
}

func FuzzReadPrompts(f *testing.F) {
	f.Add([]byte(promptsFile))
	f.Fuzz(func(t *testing.T, data []byte) {
		prompts, err := ReadPrompts("p", bytes.NewReader(data))
		if (err == nil) != (len(prompts) > 0) {
			t.Fatal(len(prompts), err)
		}
	})
}

func shipped(t *testing.T) *deviation.Scorer {
	t.Helper()
	s, err := deviation.Default()
	if err != nil {
		t.Fatal(err)
	}
	return s
}
