package main

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/plumbline/plumbline/internal/core"
)

// Numbers of prompts that are taken of each intent of a labelled set, so that no set outweighs what was written for this.
const (
	fromCLINC   = 6
	fromBanking = 2
	fromSNIPS   = 40
)

// clincDomains says what the prompts of a domain of CLINC150 are for, where [clincIntents] says nothing of the intent.
var clincDomains = map[string]string{
	"banking": "personal", "credit_cards": "personal", "kitchen_and_dining": "personal", "auto_and_commute": "personal",
	"travel": "personal", "home": core.LabelUncertain, "utility": core.LabelUncertain, "work": core.LabelUncertain,
	"small_talk": core.LabelUncertain, "meta": core.LabelUncertain,
}

// clincIntents says what an intent is for. None of an intent is learnt from that stands for nothing: "translate" judges.
var clincIntents = map[string]string{
	"translate": "", "calculator": "maths", "measurement_conversion": "maths",
	"tell_joke": "entertainment", "fun_fact": "entertainment", "play_music": "entertainment", "what_song": "entertainment",
	"update_playlist": "entertainment", "next_song": "entertainment",
	"definition": "information_seeking", "spelling": "information_seeking", "timezone": "information_seeking",
	"weather": "information_seeking", "plug_type": "information_seeking", "exchange_rate": "information_seeking",
	"meaning_of_life": "information_seeking",
	"order":           "personal", "order_status": "personal", "shopping_list_update": "personal", "taxes": "personal",
	"insurance": "personal", "insurance_change": "personal", "income": "personal", "rollover_401k": "personal", "w2": "personal",
	"current_location": core.LabelUncertain, "traffic": core.LabelUncertain,
}

var snips = map[string]string{
	"AddToPlaylist": "entertainment", "PlayMusic": "entertainment", "SearchCreativeWork": "entertainment",
	"SearchScreeningEvent": "entertainment", "RateBook": "entertainment",
	"BookRestaurant": "personal", "GetWeather": "information_seeking",
}

// labelled is a prompt and its class.
type labelled struct {
	text, label string
	// group is the line, or the intent of another set, that it comes from. Prompts of one group are too much alike to judge
	// one another.
	group string
	// weight is how much an error on it costs, 1 where it is 0.
	weight float32
}

// mapped gives prompts of the labelled sets that may train what ships, under the classes of this taxonomy.
func mapped(data string, r *rand.Rand) ([]labelled, error) {
	var all []labelled
	for _, read := range []func(string) (map[string][]string, func(string) string, int, error){mapCLINC, mapBanking, mapSNIPS} {
		prompts, label, most, err := read(filepath.Join(data, "intent"))
		if err != nil {
			return nil, err
		}
		for _, name := range sortedKeys(prompts) {
			of := prompts[name]
			if label(name) == "" {
				continue
			}
			r.Shuffle(len(of), func(i, j int) { of[i], of[j] = of[j], of[i] })
			for _, text := range of[:min(most, len(of))] {
				all = append(all, labelled{text: text, label: label(name), group: name})
			}
		}
	}
	return all, nil
}

func mapCLINC(data string) (prompts map[string][]string, label func(string) string, most int, err error) {
	var domains map[string][]string
	var splits map[string][][2]string
	if err = readJSON(filepath.Join(data, "clinc150", "domains.json"), &domains); err != nil {
		return nil, nil, 0, err
	}
	if err = readJSON(filepath.Join(data, "clinc150", "data_full.json"), &splits); err != nil {
		return nil, nil, 0, err
	}
	prompts = map[string][]string{}
	for _, row := range splits["train"] {
		prompts[row[1]] = append(prompts[row[1]], row[0])
	}
	return prompts, func(name string) string {
		if l, ok := clincIntents[name]; ok {
			return l
		}
		for domain, names := range domains {
			if slices.Contains(names, name) {
				return clincDomains[domain]
			}
		}
		return core.LabelUncertain
	}, fromCLINC, nil
}

func mapBanking(data string) (prompts map[string][]string, label func(string) string, most int, err error) {
	f, err := os.Open(filepath.Join(data, "banking77", "train.csv"))
	if err != nil {
		return nil, nil, 0, err
	}
	defer f.Close()
	rows, err := csv.NewReader(f).ReadAll()
	if err != nil {
		return nil, nil, 0, fmt.Errorf("banking77: %w", err)
	}
	prompts = map[string][]string{}
	for _, row := range rows[1:] {
		prompts[row[1]] = append(prompts[row[1]], row[0])
	}
	return prompts, func(string) string { return "personal" }, fromBanking, nil
}

func mapSNIPS(data string) (prompts map[string][]string, label func(string) string, most int, err error) {
	prompts = map[string][]string{}
	for name := range snips {
		raw, err := os.ReadFile(filepath.Join(data, "snips", "train_"+name+"_full.json"))
		if err != nil {
			return nil, nil, 0, err
		}
		var set map[string][]struct{ Data []struct{ Text string } }
		if err := json.Unmarshal([]byte(strings.ToValidUTF8(string(raw), "")), &set); err != nil {
			return nil, nil, 0, fmt.Errorf("snips: %s: %w", name, err)
		}
		for _, request := range set[name] {
			var b strings.Builder
			for _, part := range request.Data {
				b.WriteString(part.Text)
			}
			prompts[name] = append(prompts[name], b.String())
		}
	}
	return prompts, func(name string) string { return snips[name] }, fromSNIPS, nil
}
