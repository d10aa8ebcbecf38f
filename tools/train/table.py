"""The file that a table is, and the vectors that a program makes of it. The format: internal/embed/table.go.

A pair is one number: its first piece in the upper 16 bits, its second in the lower.
"""

import hashlib
import struct

import numpy as np

MAGIC = b"plumbline embedding 1\n"


def quantise(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    scales = (np.abs(rows).max(1) / 127).astype(np.float32)
    return scales, np.round(rows / np.maximum(scales, 1e-12)[:, None]).astype(np.int8)


def encode(pieces: list[str], pairs: list[int], rarity: np.ndarray, scales: np.ndarray, small: np.ndarray) -> bytes:
    text = "".join(p + "\n" for p in pieces).encode()
    keys = b"".join(struct.pack("<HH", p >> 16, p & 0xFFFF) for p in pairs)
    body = struct.pack("<4I", small.shape[1], len(pieces), len(pairs), len(text)) + text
    body += rarity.astype("<f4").tobytes() + scales.astype("<f4").tobytes() + keys + small.tobytes()
    version = f"minilm-table-{hashlib.sha256(body).hexdigest()[:8]}\n".encode()
    data = MAGIC + version + body
    return data + hashlib.sha256(data).digest()


def rows_of(pairs: list[int], pieces: int) -> dict[int, int]:
    return {pair: pieces + i for i, pair in enumerate(pairs)}


def vector(ids: list[int], rows: dict[int, int], scales: np.ndarray, small: np.ndarray) -> np.ndarray:
    """Gives the vector of a text as the program will: the test vectors are made by it."""
    used = ids + [rows[p] for a, b in zip(ids, ids[1:]) if (p := a << 16 | b) in rows]
    total = sum((scales[r] * small[r].astype(np.float32) for r in used), np.zeros(small.shape[1], np.float32))
    return total / max(float(np.linalg.norm(total)), 1e-12)
