package evaluate

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
)

// Disguise is a way in which somebody might hide that a prompt is off their task.
type Disguise string

// Ways to hide. The first four stuff a prompt with what its person's task is called, or with what it covers; the last words
// it otherwise, by our own templates.
const (
	DisguiseNone   Disguise = ""
	DisguiseTitle  Disguise = "title"  // the title, as a reason
	DisguiseTopic  Disguise = "topic"  // a topic, as a second request
	DisguiseTopics Disguise = "topics" // all topics, behind the prompt
	DisguiseMixed  Disguise = "mixed"  // words of the task among those of the prompt
	DisguiseReword Disguise = "reword" // other words around the prompt, and its words otherwise
)

// Disguises lists the ways to hide.
func Disguises() []Disguise {
	return []Disguise{DisguiseTitle, DisguiseTopic, DisguiseTopics, DisguiseMixed, DisguiseReword}
}

// of gives text as it is disguised from t. The same random numbers give the same text.
func (d Disguise) of(t *Task, text string, random *rand.Rand) string {
	topics := t.Topics
	if len(topics) == 0 {
		topics = []string{t.Title}
	}
	switch d {
	case DisguiseTitle:
		return text + " I need this for my work: " + t.Title + "."
	case DisguiseTopic:
		return text + "\nAlso: " + topics[random.IntN(len(topics))] + "."
	case DisguiseTopics:
		return text + "\n" + strings.Join(topics, ", ") + "."
	case DisguiseMixed:
		return mixed(text, strings.Fields(t.Title+" "+strings.Join(topics, " ")), random)
	case DisguiseReword:
		return reworded(text, random)
	case DisguiseNone:
	}
	return text
}

// mixed puts a word of the task behind every third word of text.
func mixed(text string, words []string, random *rand.Rand) string {
	if len(words) == 0 {
		return text
	}
	var all []string
	for i, w := range strings.Fields(text) {
		all = append(all, w)
		if i%3 == 2 {
			all = append(all, words[random.IntN(len(words))])
		}
	}
	return strings.Join(all, " ")
}

// wrappings are ways to ask for the same.
var wrappings = []string{
	"Hi there, I was wondering whether you could help me out with something. %s Thanks a lot in advance!",
	"A colleague of mine would like to know the following. %s Keep it short, please.",
	"Imagine somebody came to you and said: %s What would you reply?",
	"ok so here's the thing, %s or is that a silly question",
	"Act as an expert. Your job is this: %s Take it step by step, and double check the outcome.",
	"It would be great if we got an answer to this before the end of the day: %s",
}

// otherwise are words that say the same in most prompts: the first of each is replaced by the second.
var otherwise = strings.NewReplacer(
	" what is ", " what's ", " what's ", " what is ", " can you ", " could you please ", " please ", " kindly ", " tell me ", " let me know ",
	" i need to ", " i have to ", " i want to ", " i would like to ", " how do i ", " what is the way to ", " how much ", " what amount of ",
	" show me ", " display ", " find ", " look for ", " help me ", " assist me to ", " write ", " compose ", " give me ", " provide me with ",
	" make ", " put together ", " explain ", " describe ", " my ", " our ", " buy ", " purchase ", " get ", " obtain ", " big ", " large ",
)

// reworded says text otherwise: with words that mean the same, another order of its sentences, and something around it.
func reworded(text string, random *rand.Rand) string {
	text = strings.TrimSpace(otherwise.Replace(" " + strings.ToLower(text) + " "))
	sentences := strings.SplitAfter(text, ". ")
	slices.Reverse(sentences)
	for i := range sentences {
		sentences[i] = strings.TrimSpace(sentences[i])
	}
	return fmt.Sprintf(wrappings[random.IntN(len(wrappings))], strings.Join(sentences, " "))
}
