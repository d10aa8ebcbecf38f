"""Test vectors for internal/embed: what this code makes of texts, which the program has to make too.

Run as a program it writes a small table of random rows and its vectors, which need no teacher:

    python checks.py ../../internal/embed/testdata
"""

import json
import sys
from pathlib import Path

import numpy as np

import table
import tokens

CHECKS = [
    "Refund the duplicate charge on my March invoice.", "how do i reset my password", "SELECT name FROM customers", "",
    "Café au lait, naïve façade & Ångström", "the the the", "unbelievably antidisestablishmentarianism", "CODEBLOCK_go",
    "don't stop; it's Anna's 3rd try (v2.0)", "漢字 and kana", "ﬁne ½ ㎏ Ⅷ", "x" * 100, "Book a flight to Lisbon\nand a hotel",
]


def vectors(tokenizer: tokens.Tokenizer, rows: dict[int, int], scales: np.ndarray, small: np.ndarray) -> str:
    lines = []
    for text in CHECKS:
        ids = tokenizer.text(text)
        v = table.vector(ids, rows, scales, small)
        lines.append(json.dumps({"text": text, "pieces": ids, "vector": [round(float(x), 6) for x in v]}, ensure_ascii=False))
    return "[\n" + ",\n".join(lines) + "\n]\n"


def main():
    out = Path(sys.argv[1])
    words = sorted({w for text in CHECKS for w in tokens.words(text) if len(w) < 9})
    pieces = [m + c for m in ("", "##") for c in "abcdefghijklmnopqrstuvwxyz0123456789"]
    pieces += [w for w in words if w not in pieces] + ["##able", "##ly", "##ment", "un", "anti"]
    tokenizer = tokens.Tokenizer(pieces)
    adjacent = {a << 16 | b for text in CHECKS for ids in [tokenizer.text(text)] for a, b in zip(ids, ids[1:])}
    pairs = sorted(adjacent)[::2]
    random = np.random.default_rng(1)
    rows = random.normal(size=(len(pieces) + len(pairs), 8)).astype(np.float32)
    scales, small = table.quantise(rows)
    rarity = random.uniform(0, 9, len(pieces)).astype(np.float32)
    (out / "small.bin").write_bytes(table.encode(pieces, pairs, rarity, scales, small))
    (out / "small.json").write_text(vectors(tokenizer, table.rows_of(pairs, len(pieces)), scales, small), encoding="utf-8")


if __name__ == "__main__":
    main()
