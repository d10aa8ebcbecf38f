"""A tiny teacher of random weights, and what it says of texts, which internal/teacher has to say too.

    python tiny.py ../../internal/teacher/testdata
"""

import json
import sys
from pathlib import Path

import numpy as np
from safetensors.numpy import save
from tokenizers.implementations import BertWordPieceTokenizer

import teacher
from checks import CHECKS
from encoder import Encoder

DIM, WIDE, LAYERS, HEADS = 48, 64, 2, 12


def weights(random: np.random.Generator, words: int) -> dict[str, np.ndarray]:
    shapes = {f"embeddings.{name}_embeddings.weight": (n, DIM)
              for name, n in (("word", words), ("position", 64), ("token_type", 2))}
    norms = ["embeddings.LayerNorm"]
    for p in (f"encoder.layer.{i}." for i in range(LAYERS)):
        dense = {f"attention.self.{name}": (DIM, DIM) for name in ("query", "key", "value")}
        dense |= {"attention.output.dense": (DIM, DIM), "intermediate.dense": (WIDE, DIM), "output.dense": (DIM, WIDE)}
        for name, shape in dense.items():
            shapes[p + name + ".weight"], shapes[p + name + ".bias"] = shape, shape[:1]
        norms += [p + "attention.output.LayerNorm", p + "output.LayerNorm"]
    out = {name: random.normal(scale=0.5, size=shape).astype(np.float32) for name, shape in shapes.items()}
    for name in norms:
        out[name + ".weight"] = random.normal(1, 0.1, DIM).astype(np.float32)
        out[name + ".bias"] = random.normal(0, 0.1, DIM).astype(np.float32)
    return out


def main():
    out = Path(sys.argv[1])
    letters = "abcdefghijklmnopqrstuvwxyz0123456789"
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"] + list(letters) + ["##" + c for c in letters]
    pieces += list("!,.;'()&") + ["the", "invoice", "refund", "##able", "flight", "café", "and"]
    vocabulary = {p: i for i, p in enumerate(pieces)}
    tokenizer = BertWordPieceTokenizer(vocabulary, lowercase=True)
    tokenizer.enable_truncation(teacher.MAX_TOKENS)

    data = save(weights(np.random.default_rng(1), len(pieces)))
    encoder = Encoder(data, HEADS)
    lines = []
    for text in CHECKS + ["refundable; REFUND the\tinvoice!", "naïve\u200bword\ufffd \x00x", "¿qué? «x» $5 100% — end", "y" * 101, "a " * 60]:
        ids = tokenizer.encode(text).ids
        vector = encoder(np.array([ids], np.int64))[0]
        lines.append(json.dumps({"text": text, "ids": ids, "vector": [round(float(x), 6) for x in vector]}))
    out.mkdir(exist_ok=True)
    (out / "tiny.safetensors").write_bytes(data)
    (out / "tiny.txt").write_text("".join(p + "\n" for p in pieces), encoding="utf-8")
    (out / "tiny.json").write_text("[\n" + ",\n".join(lines) + "\n]\n", encoding="utf-8")


if __name__ == "__main__":
    main()
