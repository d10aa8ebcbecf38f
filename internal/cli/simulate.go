package cli

import (
	"fmt"
	"os"
	"strconv"
	"time"

	"github.com/plumbline/plumbline/internal/app"
	"github.com/plumbline/plumbline/internal/simulate"
)

type simulateCmd struct {
	Quota simulateQuotaCmd `cmd:"" help:"Compare ways of keeping quota: one exact ledger, escrow over several, and what others do."`
}

type simulateQuotaCmd struct {
	Users    int           `help:"People, of whom some call far more than others." default:"100000"`
	Teams    int           `help:"Teams of them." default:"100"`
	Rate     float64       `help:"Calls a second, on average." default:"10000"`
	Duration time.Duration `help:"How long the traffic lasts, in virtual time. The calendar windows change after a quarter of it." default:"30s"`
	Replicas int           `help:"Replicas that serve it." default:"12"`
	Shards   int           `help:"Ledgers that escrow spreads counters over." default:"4"`
	Slab     int           `help:"What a replica first leases of a shared counter, in calls." default:"16"`
	OpTime   time.Duration `help:"How long one operation occupies a ledger." default:"25us"`
	Crashes  int           `help:"Replicas that crash meanwhile." default:"3"`
	Loss     float64       `help:"The share of messages that are lost, and the share that arrive twice." default:"0.0001"`
	Seed     uint64        `help:"What everything is drawn from: one seed, one report." default:"1"`
	Limits   string        `help:"YAML file with limits, as for apply. Default: limits that bind under the load." placeholder:"FILE" type:"existingfile"`
}

func (c simulateQuotaCmd) Run(s *session) error {
	o, err := c.options()
	if err != nil {
		return configError{err}
	}
	if err := o.Validate(); err != nil {
		return configError{err}
	}
	report, err := simulate.Run(s.ctx, o)
	if err != nil {
		return err
	}
	header := []string{"FIGURE"}
	for _, f := range report.Models {
		header = append(header, f.Model)
	}
	rows := simulationRows(report.Models)
	return s.printOne(report, header, len(rows), func(i int) []string { return rows[i] })
}

func (c simulateQuotaCmd) options() (simulate.Options, error) {
	o := simulate.Options{
		Seed: c.Seed, Users: c.Users, Teams: c.Teams, Rate: c.Rate, Duration: c.Duration, Replicas: c.Replicas, Shards: c.Shards,
		Slab: c.Slab, OpTime: c.OpTime, Crashes: c.Crashes, Loss: c.Loss,
	}
	if c.Limits == "" {
		return o, nil
	}
	data, err := os.ReadFile(c.Limits)
	if err != nil {
		return o, err
	}
	objects, err := app.ParseObjects(c.Limits, data)
	if err != nil {
		return o, err
	}
	if len(objects.Limits) == 0 {
		return o, fmt.Errorf("%s has no limits", c.Limits)
	}
	o.Limits = objects.Limits
	return o, nil
}

// simulationRows are the lines of the table: a figure each, a column for each model.
func simulationRows(models []simulate.Figures) [][]string {
	var rows [][]string
	row := func(name string, cell func(simulate.Figures) string) {
		cells := []string{name}
		for _, f := range models {
			cells = append(cells, cell(f))
		}
		rows = append(rows, cells)
	}
	count := func(name string, of func(simulate.Figures) uint64) {
		row(name, func(f simulate.Figures) string { return strconv.FormatUint(of(f), 10) })
	}
	share := func(name string, of func(simulate.Figures) float64) {
		row(name, func(f simulate.Figures) string { return strconv.FormatFloat(100*of(f), 'f', 2, 64) + " %" })
	}
	plain := func(name string, of func(simulate.Figures) float64) {
		row(name, func(f simulate.Figures) string { return strconv.FormatFloat(of(f), 'f', 2, 64) })
	}
	count("calls", func(f simulate.Figures) uint64 { return f.Calls })
	count("admitted", func(f simulate.Figures) uint64 { return f.Admitted })
	share("admitted, of the oracle's", func(f simulate.Figures) float64 { return f.OfOracle })
	share("spent, of the oracle's", func(f simulate.Figures) float64 { return f.CostOfOracle })
	count("refused", func(f simulate.Figures) uint64 { return f.Refused })
	count("refused although room existed", func(f simulate.Figures) uint64 { return f.WithRoom })
	count("no answer in time", func(f simulate.Figures) uint64 { return f.Unanswered })
	count("streams cut", func(f simulate.Figures) uint64 { return f.Cut })
	share("overshoot at most", func(f simulate.Figures) float64 { return f.Overshoot })
	count("counters over their limit", func(f simulate.Figures) uint64 { return uint64(f.Over) })
	plain("messages per admission", func(f simulate.Figures) float64 { return f.Messages })
	plain("wait p50, in operations", func(f simulate.Figures) float64 { return f.WaitP50 })
	plain("wait p99, in operations", func(f simulate.Figures) float64 { return f.WaitP99 })
	share("busiest ledger", func(f simulate.Figures) float64 { return f.Busiest })
	count("pending at the end", func(f simulate.Figures) uint64 { return uint64(f.Pending) })
	share("charged, used by nobody", func(f simulate.Figures) float64 { return f.Stranded })
	count("tokens that a crash left unbooked", func(f simulate.Figures) uint64 { return uint64(max(0, f.Unbooked)) })
	return rows
}
