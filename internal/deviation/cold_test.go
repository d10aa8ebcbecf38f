package deviation_test

import (
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/deviation"
	"github.com/plumbline/plumbline/internal/intent"
)

// office are the words of the prompts that are made up: of the tasks, of other work, of none, and misspelt.
var office = strings.Fields(`invoice customer refund shipment delay quarterly report revenue forecast table column query
	index database join slow plan optimise polite meeting notes action owner deadline review contract clause liability
	supplier price discount region team budget approve schedule migration rollback incident cause metric alert dashboard
	latency error flight hotel visa retention cohort chargeback subscription warehouse itinerary luggage kubernetes
	terraform goroutine webhook onboarding invoce refnud shipmnet quaterly OKR Q3 v2 2024 don't customer's
	the a for with and to of in our this last next that which from is was were has not`)

// openings begin sentences of a prompt, some of which ask.
var openings = []string{
	"Please", "Can you", "Explain why", "List", "Write", "We think that", "Yesterday", "Note that", "Compare", "It seems",
	"My manager says", "How does", "Our", "The customer writes:", "Summarise", "Here is the log:", "1.", "-",
	"“Dear team” –", "In Zürich,", "So:",
}

// madeUp gives prompts of about size bytes that all differ, half of them sentences and half one endless sentence.
func madeUp(n, size int) []core.Prompt {
	random := rand.New(rand.NewPCG(1, 2))
	prompts := make([]core.Prompt, n)
	for i := range prompts {
		var text strings.Builder
		for text.Len() < size {
			if i%2 == 0 {
				text.WriteString(openings[random.IntN(len(openings))] + " ")
			}
			for range 5 + random.IntN(12) {
				text.WriteString(office[random.IntN(len(office))] + " ")
			}
			if i%2 == 0 {
				text.WriteString([]string{"done. ", "done? ", "done!\n"}[random.IntN(3)])
			}
		}
		prompts[i].Parts = []core.Part{
			{Role: core.RoleSystem, Kind: core.KindText, Text: "You help a company with its daily work."},
			{Role: core.RoleUser, Kind: core.KindText, Turn: 1, Text: text.String()},
		}
	}
	return prompts
}

// BenchmarkColdJudge is the request path as it is beside a proxy: each prompt differs from the one before, and other work
// has taken the caches in between. It reports each step's own time; ns/op holds the other work too.
func BenchmarkColdJudge(b *testing.B) {
	c, err := intent.Default()
	if err != nil {
		b.Fatal(err)
	}
	s, tasks := shipped(b), []*deviation.Task{deviation.Compile(support), deviation.Compile(analyst), deviation.Compile(travel)}
	others := make([]byte, 8<<20)
	for _, size := range []struct {
		name  string
		bytes int
	}{{"2kB", 2 << 10}, {"64kB", 64 << 10}} {
		prompts := madeUp(64, size.bytes)
		b.Run(size.name, func(b *testing.B) {
			var view, classify, score time.Duration
			for i := 0; b.Loop(); i++ {
				for j := 0; j < len(others); j += 64 {
					others[j]++
				}
				start := time.Now()
				v := intent.NewView(prompts[i%len(prompts)])
				viewed := time.Now()
				c.Classify(v)
				classified := time.Now()
				s.Score(v, tasks)
				view, classify, score = view+viewed.Sub(start), classify+classified.Sub(viewed), score+time.Since(classified)
			}
			for step, took := range map[string]time.Duration{
				"view-ns": view, "classify-ns": classify, "score-ns": score, "judge-ns": view + classify + score,
			} {
				b.ReportMetric(float64(took.Nanoseconds())/float64(b.N), step)
			}
		})
	}
}
