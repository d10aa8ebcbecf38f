"""The texts that the table learns from: words, what WordNet says, requests made of templates, and public sentences.

All are generic: nothing of the sets that judge is among them. Each list is put into an order of its own, by digest, of
which the first so many are taken, so that the same sources give the same texts everywhere.
"""

import gzip
import hashlib
import html
import json
import re
from pathlib import Path
from typing import Iterable

import tokens

# How many texts of each kind are in the pool, at most, and the lengths that are taken, in words. Short ones: the teacher's
# time goes with the length, and the table sees no more than pairs of words.
POOL = {
    "hwu": 15_000, "taskmaster": 9_000, "snips": 7_000, "tldr": 9_000, "18f": 6_000, "digitalgov": 6_000,
    "glosses": 14_000, "examples": 14_000, "phrases": 12_000, "templates": 40_000,
}
SHORTEST, LONGEST = 2, 12

# How many of each kind are the generic sentences that the scorer is told: what anybody might write, on no task.
GENERIC = {"hwu": 220, "taskmaster": 140, "snips": 100, "templates": 160, "tldr": 80, "18f": 50, "digitalgov": 50}

TEMPLATES = """
write an email to my {n} about the {m}
write a short report on {m} for the {n}
write a story about a {n} and a {m}
write a poem about {m}
write a function that {v}s a {n}
write a query that lists each {n} by {m}
draft a letter to the {n} about {m}
draft a reply to a {n} who wants to {v}
summarize this article about {m}
summarize the meeting on {m} in three points
summarize what the {n} said about {m}
explain {m} to a child
explain how to {v} a {n}
explain why the {n} does not {v}
explain the difference between {n} and {m}
what is {m}
what is a {n}
what is the best way to {v} a {n}
what does {m} mean
what does it cost to {v} a {n}
what are the rules for {m}
what is the {n} of the {m}
who can {v} the {n}
who is responsible for {m}
when can i {v} my {n}
when is the {n} due
where can i find a {n}
where do i {v} the {n}
why is my {n} so {a}
why did the {n} {v}
how do i {v} a {n}
how do i {v} my {n} for {m}
how much is the {n}
how many {n}s are there in the {m}
how long does it take to {v} the {n}
how can we {v} the {m} of our {n}
how {a} is the {n}
is the {n} {a}
is it {a} to {v} a {n}
are there any {a} {n}s near me
can you {v} the {n}
can you {v} my {m} please
can i {v} a {n} without {m}
could you help me {v} the {n}
do i need a {n} for {m}
does the {n} have {m}
i want to {v} a {n}
i need to {v} the {m} by tomorrow
i need a {a} {n}
i need help with my {n}
i lost my {n}
i would like to know about {m}
my {n} is {a}
my {n} will not {v}
my {n} and my {m}
the {n} is too {a} to {v}
the {n} of the {m} is {a}
the customer asks about the {n} and the {m}
please {v} the {n}
please {v} the following {n}
please tell me about {m}
please check the {n} for {m}
{v} the {n}
{v} a {n} for {m}
{v} my {n} and the {m}
{v} and {w} the {n}
{n} and {m}
{n} for {m}
{n} {m}
{a} {n}
{a} {n} for a {m}
list five {n}s for {m}
list the {n}s of the {m}
list ways to {v} {m}
give me ideas for a {a} {n}
give me an example of {m}
give me advice on {m}
find a {n} near the {m}
find errors in this {n}
find {a} {n}s
compare {n} and {m}
compare a {a} {n} with a {b} one
create a plan for {m}
create a table of {n} and {m}
create a {n} that can {v}
make a list of {n}s
make the {n} more {a}
translate this {n} into spanish
translate {m} to french
fix the {n} in this {m}
fix my {a} {n}
debug a program that {v}s the {n}
calculate the {n} of the {m}
analyze the {n} data for {m}
review the {n} and suggest a {m}
prepare a presentation on {m}
plan a {n} with {m}
schedule a {n} about {m}
book a {n} for {m}
order a {a} {n}
buy a {n} and a {m}
set up the {n} for the {m}
show me the {n}
show me how to {v}
tell me a {n} about {m}
recommend a {n} for {m}
suggest a name for a {n}
remind me to {v} the {n}
rewrite this {n} to be more {a}
improve the {m} of this text
convert the {n} to a {m}
classify each {n} by {m}
design a {n} for {m}
act as a {n} and talk about {m}
you are a {n} who can {v}
should i {v} the {n} or the {m}
what happens if i {v} the {n}
what if the {n} is {a}
""".split("\n")[1:-1]


def order(texts: Iterable[str]) -> list[str]:
    return sorted(set(texts), key=lambda t: hashlib.sha256(t.encode()).digest())


def clean(line: str) -> str:
    if "&" in line:
        line = html.unescape(html.unescape(line))
    line = " ".join(line.split()).strip(" \t;,.\"'-*_#|")
    return re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", line) if "](" in line else line


def sensible(text: str) -> bool:
    """Leaves out what is no sentence: mark-up, ids, rows of symbols and single words."""
    letters = sum(c.isalpha() or c == " " for c in text)
    return letters >= 0.8 * len(text) and SHORTEST <= len(tokens.words(text)) <= LONGEST and '";"' not in text


class WordNet:
    """Reads the data files of Debian's wordnet-base. Their format: wndb(5WN)."""

    def __init__(self, folder: Path):
        self.lemmas = {"noun": set(), "verb": set(), "adj": set()}
        self.glosses, self.examples = set(), set()
        for part in ("noun", "verb", "adj", "adv"):
            for line in (folder / f"data.{part}").read_text(encoding="latin-1").splitlines():
                if not line.startswith("  "):  # the licence
                    self._synset(part, line)

    def _synset(self, part: str, line: str):
        data, _, gloss = line.partition("|")
        fields = data.split(" ")
        for i in range(int(fields[3], 16)):
            lemma = re.sub(r"\(.*\)$", "", fields[4 + 2 * i]).replace("_", " ")
            if part in self.lemmas:
                self.lemmas[part].add(lemma)
        meaning = re.split(r'[;:]\s*"', gloss)[0].strip(" ;\"")
        self.glosses.add(f"{fields[4].replace('_', ' ')}: {meaning}")
        self.glosses.add(meaning)
        self.examples.update(re.findall(r'"([^"]+)"', gloss))

    def common(self, part: str, words: set[str], most: int) -> list[str]:
        """Gives the lemmas of up to most words, all of which the vocabulary has whole: the usual ones."""
        return order(l for l in self.lemmas[part]
                     if l.islower() and len(l) > 2 and l.count(" ") < most and all(w in words for w in l.split(" ")))


def fill(wordnet: WordNet, words: set[str], count: int) -> list[str]:
    nouns, verbs, adjectives = (wordnet.common(p, words, n) for p, n in (("noun", 2), ("verb", 2), ("adj", 1)))

    def pick(i: int, what: str, of: list[str]) -> str:
        return of[int.from_bytes(hashlib.sha256(f"{i} {what}".encode()).digest()[:8], "big") % len(of)]

    out = []
    for i in range(count):
        words_of = {"n": nouns, "m": nouns, "v": verbs, "w": verbs, "a": adjectives, "b": adjectives}
        out.append(TEMPLATES[i % len(TEMPLATES)].format(**{k: pick(i, k, of) for k, of in words_of.items()}))
    return out


def snips(folder: Path) -> list[str]:
    out = []
    for path in sorted(folder.glob("train_*_full.json")):
        for prompts in json.loads(path.read_text(encoding="latin-1")).values():
            out += [clean("".join(part["text"] for part in p["data"])) for p in prompts]
    return out


def read(data: Path, wordnet_folder: Path, pieces: list[str]) -> tuple[list[str], list[str], list[str]]:
    """Gives the words of the vocabulary alone, without the marks of continuing pieces, the sentences, and the generic ones,
    which are not among these."""
    alone = [p.removeprefix("##") for p in pieces]
    whole = {p for p in pieces if not p.startswith("##")}
    wordnet = WordNet(wordnet_folder)
    kinds = {name: [clean(line) for line in gzip.open(data / "sentences" / f"{name}.txt.gz", "rt", encoding="utf-8")]
             for name in ("hwu", "taskmaster", "tldr", "18f", "digitalgov")}
    kinds["snips"] = snips(data / "intent" / "snips")
    kinds["glosses"], kinds["examples"] = map(clean, wordnet.glosses), map(clean, wordnet.examples)
    kinds = {name: [t for t in texts if sensible(t)] for name, texts in kinds.items()}
    kinds["phrases"] = [l for l in wordnet.common("noun", whole, 3) if " " in l]
    kinds["templates"] = fill(wordnet, whole, POOL["templates"])
    sentences = [t for name in POOL for t in order(kinds[name])[:POOL[name]]]
    # From the end of the order, beyond what the pool takes where there is more.
    generic = [t for name in GENERIC for t in order(kinds[name])[-GENERIC[name]:]]
    return alone, order(set(sentences) - set(generic)), order(generic)
