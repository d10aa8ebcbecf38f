"""Learning: rows of pieces and pairs that sum up to the teacher's vectors.

Repeatable bit for bit from the same teacher vectors: one thread, one order, seeded, and no operation that is free to be
reordered.
"""

import numba
import numpy as np

SEED = 20
EPOCHS = 10
RATE = 0.03
DROPOUT = 0.1
PAIRS = 40_000
FEWEST = 2  # texts that a pair must stand in
RARE = 1e-3  # the share of all pieces at which a row begins half as long as that of the rarest


def directions(vectors: np.ndarray, dim: int) -> np.ndarray:
    """Gives the leading right singular vectors [384, dim], not centred, each with its largest number positive."""
    wide = vectors.astype(np.float64)
    _, columns = np.linalg.eigh(wide.T @ wide)
    columns = columns[:, ::-1][:, :dim]
    return columns * np.sign(columns[np.abs(columns).argmax(0), np.arange(dim)])


def unit(m: np.ndarray) -> np.ndarray:
    return (m / np.maximum(np.linalg.norm(m, axis=1, keepdims=True), 1e-12)).astype(np.float32)


class Features:
    """The rows of each text: its pieces, and its pairs if they are among the most frequent."""

    def __init__(self, texts: list[list[int]], pieces: int):
        self.pieces = pieces
        self.count = np.zeros(pieces, np.int64)
        self.documents = np.zeros(pieces, np.int64)
        pairs: dict[int, int] = {}
        for ids in texts:
            for i in ids:
                self.count[i] += 1
            for i in set(ids):
                self.documents[i] += 1
            for pair in {a << 16 | b for a, b in zip(ids, ids[1:])}:
                pairs[pair] = pairs.get(pair, 0) + 1
        frequent = sorted((p for p, n in pairs.items() if n >= FEWEST), key=lambda p: (-pairs[p], p))
        self.pairs = sorted(frequent[:PAIRS])
        rows = {pair: pieces + i for i, pair in enumerate(self.pairs)}
        flat, self.starts = [], [0]
        for ids in texts:
            flat += ids
            flat += [rows[p] for a, b in zip(ids, ids[1:]) if (p := a << 16 | b) in rows]
            self.starts.append(len(flat))
        self.flat = np.array(flat, np.int32)
        self.starts = np.array(self.starts, np.int64)
        self.rarity = np.log((len(texts) + 1) / (self.documents + 1)).astype(np.float32)


@numba.njit
def _learn(rows, seen, flat, starts, targets, order, rate, steps, done, state):
    """Goes through the texts of order once: the loss is 1 - cosine, and each row of a text has the same gradient."""
    dim = rows.shape[1]
    total, gradient = np.zeros(dim, np.float32), np.zeros(dim, np.float32)
    kept = np.zeros(4096, np.int32)
    loss = 0.0
    for text in order:
        now = np.float32(rate * (1.0 - done / steps))
        done += 1
        n = 0
        total[:] = 0
        for i in range(starts[text], starts[text + 1]):
            state ^= (state << np.uint64(13))
            state ^= (state >> np.uint64(7))
            state ^= (state << np.uint64(17))
            if (state >> np.uint64(11)) * (1.0 / 9007199254740992.0) < DROPOUT:
                continue
            kept[n] = flat[i]
            n += 1
            row = rows[flat[i]]
            for d in range(dim):
                total[d] += row[d]
        length, near = np.float32(0), np.float32(0)
        for d in range(dim):
            length += total[d] * total[d]
            near += total[d] * targets[text, d]
        if n == 0 or length < 1e-12:
            continue
        length = np.sqrt(length)
        near /= length
        loss += 1 - near
        power = np.float32(0)
        for d in range(dim):
            gradient[d] = (near * total[d] / length - targets[text, d]) / length
            power += gradient[d] * gradient[d]
        power /= np.float32(dim)
        for k in range(n):
            seen[kept[k]] += power
            step = now / np.sqrt(seen[kept[k]])
            row = rows[kept[k]]
            for d in range(dim):
                row[d] -= step * gradient[d]
    return loss / len(order), done, state


def train(f: Features, words: np.ndarray, targets: np.ndarray, log) -> np.ndarray:
    """Gives the rows. words are the targets of the pieces alone, targets those of the texts, both unit vectors."""
    share = f.count / f.count.sum()
    rows = np.zeros((f.pieces + len(f.pairs), targets.shape[1]), np.float32)
    rows[:f.pieces] = words * (RARE / (RARE + share))[:, None]
    seen = np.full(len(rows), 4e-3, np.float32)
    seen[:f.pieces] = 4e-4
    random = np.random.default_rng(SEED)
    done, state = 0, np.uint64(SEED)
    for epoch in range(EPOCHS):
        order = random.permutation(len(targets)).astype(np.int64)
        loss, done, state = _learn(rows, seen, f.flat, f.starts, targets, order, RATE, EPOCHS * len(targets), done,
                                   np.uint64(state))
        log(f"epoch {epoch + 1}: loss {loss:.4f}")
    return rows
