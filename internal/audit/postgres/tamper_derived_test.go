package postgres_test

import (
	mathrand "math/rand/v2"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
)

type derivedTampering struct {
	tampering
	names string
}

// following are ways to tamper with what follows from the records, which stay as they are. Each has the name that verifying must
// give, empty for the target's writer.
var following = []derivedTampering{
	{tampering{"a task hidden", func(x tamperer, at target) bool {
		return x.exec("UPDATE plumbline_audit.records SET task = ''"+thisRecord+" AND task <> ''", at.writer, at.seq) > 0
	}}, ""},
	{tampering{"an intent exchanged", func(x tamperer, at target) bool {
		return x.exec("UPDATE plumbline_audit.records SET intent = 'other'"+thisRecord, at.writer, at.seq) > 0
	}}, ""},
	{tampering{"an explanation hidden", func(x tamperer, at target) bool {
		return x.exec("UPDATE plumbline_audit.records SET explanation = 0"+thisRecord+" AND explanation <> 0", at.writer, at.seq) > 0
	}}, ""},
	{tampering{"another's explanation", func(x tamperer, at target) bool {
		return x.exec(`UPDATE plumbline_audit.records AS r SET explanation = (SELECT id FROM plumbline_audit.explanations AS e WHERE e.id <> r.explanation LIMIT 1)
			WHERE writer = $1 AND seq = $2 AND EXISTS (SELECT FROM plumbline_audit.explanations AS e WHERE e.id <> r.explanation)`, at.writer, at.seq) > 0
	}}, ""},
	{tampering{"the text of an explanation changed", func(x tamperer, at target) bool {
		return x.exec("UPDATE plumbline_audit.explanations SET text = text || 'x' WHERE "+itsExplanation, at.writer, at.seq) > 0
	}}, whoever},
	{tampering{"the reason of an explanation changed", func(x tamperer, at target) bool {
		return x.exec("UPDATE plumbline_audit.explanations SET reason = reason || 'x' WHERE "+itsExplanation, at.writer, at.seq) > 0
	}}, whoever},
	{tampering{"an explanation taken out", func(x tamperer, at target) bool {
		return x.exec("DELETE FROM plumbline_audit.explanations WHERE "+itsExplanation, at.writer, at.seq) > 0
	}}, whoever},
	{tampering{"the last number of a writer lowered", func(x tamperer, at target) bool {
		return x.exec("UPDATE plumbline_audit.writers SET last = last - 1 WHERE name = $1", at.writer) > 0
	}}, ""},
	{tampering{"the count of a writer raised", func(x tamperer, at target) bool {
		return x.exec("UPDATE plumbline_audit.writers SET records = records + 1 WHERE name = $1", at.writer) > 0
	}}, ""},
	{tampering{"a writer's counts taken out", func(x tamperer, at target) bool {
		return x.exec("DELETE FROM plumbline_audit.writers WHERE name = $1", at.writer) > 0
	}}, ""},
	{tampering{"a dead letter under another time", func(x tamperer, at target) bool {
		return x.exec(`INSERT INTO plumbline_audit.dead_letters SELECT writer, seq, leaf, recorded_at + 1, 'x', record
			FROM plumbline_audit.records`+thisRecord, at.writer, at.seq) > 0
	}}, ""},
	{tampering{"a dead letter beside a record", func(x tamperer, at target) bool {
		return x.exec(`INSERT INTO plumbline_audit.dead_letters SELECT writer, seq, '\x00', recorded_at, 'x', record
			FROM plumbline_audit.records`+thisRecord, at.writer, at.seq) > 0
	}}, ""},
	{tampering{"a sum by the hour changed", sumChanged("rollups")}, "rollups"},
	{tampering{"a sum by the day changed", sumChanged("rollups_day")}, "rollups_day"},
	{tampering{"a person's sum by the day changed", sumChanged("rollups_day_user")}, "rollups_day_user"},
	{tampering{"a sum by the hour taken out", sumTaken("rollups")}, "rollups"},
	{tampering{"a sum by the day taken out", sumTaken("rollups_day")}, "rollups_day"},
	{tampering{"a person's sum by the day taken out", sumTaken("rollups_day_user")}, "rollups_day_user"},
	{tampering{"a sum by the hour added", sumAdded("rollups")}, "rollups"},
	{tampering{"a sum by the day added", sumAdded("rollups_day")}, "rollups_day"},
	{tampering{"a person's sum by the day added", sumAdded("rollups_day_user")}, "rollups_day_user"},
}

// whoever stands for whatever writer comes first.
const whoever = "*"

const itsExplanation = "id = (SELECT explanation FROM plumbline_audit.records WHERE writer = $1 AND seq = $2)"

// columnsOfSums are those of a table of sums, with the expression for another value.
var columnsOfSums = []string{
	"hour = hour + 3600000000", `"user" = "user" || 'x'`, "team = team || 'x'", "app = app || 'x'", "model = model || 'x'", "intent = intent || 'x'",
	"verdict = verdict || 'x'", "decided = decided + 1", "ended = ended - 1", "requests = requests + 1", "input_tokens = input_tokens - 1",
	"output_tokens = output_tokens + 1", "cost = cost - 1", "latency[3] = latency[3] + 1", "deviation[3] = deviation[3] + 1", "latency = latency || 0::bigint",
	"deviation = '{}'",
}

const anySum = " WHERE ctid = (SELECT ctid FROM plumbline_audit.%s ORDER BY hour, team, verdict LIMIT 1 OFFSET (SELECT $1 % count(*) FROM plumbline_audit.%s))"

func sumChanged(table string) func(tamperer, target) bool {
	return func(x tamperer, _ target) bool {
		x.exec("UPDATE plumbline_audit."+table+" SET "+columnsOfSums[x.r.IntN(len(columnsOfSums))]+strings.ReplaceAll(anySum, "%s", table), x.r.Int64N(1000))
		return true
	}
}

func sumTaken(table string) func(tamperer, target) bool {
	return func(x tamperer, _ target) bool {
		return x.exec("DELETE FROM plumbline_audit."+table+strings.ReplaceAll(anySum, "%s", table), x.r.Int64N(1000)) > 0
	}
}

// sumAdded adds a sum of nothing, at a time with records or without.
func sumAdded(table string) func(tamperer, target) bool {
	return func(x tamperer, _ target) bool {
		return x.exec("INSERT INTO plumbline_audit."+table+` SELECT hour + $1, 'mallory', team, app, model, intent, verdict, 0, 0, 0, 0, 0, 0, latency, deviation
			FROM plumbline_audit.`+table+" LIMIT 1", []int64{0, 86_400_000_000, -86_400_000_000}[x.r.IntN(3)]) > 0
	}
}

// TestEachTamperingWithWhatFollowsFromRecords is found, and named.
func TestEachTamperingWithWhatFollowsFromRecords(t *testing.T) {
	r := mathrand.New(mathrand.NewPCG(9, 10))
	s, targets := tamperedWorld(t, r)
	s.begin(t, func(tx pgx.Tx) {
		for _, how := range following {
			done := 0
			for tries := 0; tries < 40 && done < 2; tries++ {
				at := targets[r.IntN(len(targets))]
				if s.try(tamperer{t: t, tx: tx, r: r}, how.do, at, how.named(at), how.name) {
					done++
				}
			}
			if done == 0 {
				t.Errorf("%s: there was nothing to do it to", how.name)
			}
		}
	})
}

// named is what verifying must name.
func (x derivedTampering) named(at target) string {
	switch x.names {
	case "":
		return at.writer
	case whoever:
		return ""
	}
	return x.names
}
