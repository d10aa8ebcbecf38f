"""A sentence encoder of BERT's form: unit vectors of texts, the same bytes on each processor with AVX2.

A runtime picks its sums by the processor, and a vector's last bits with them. Here products of matrices are OpenBLAS's,
which main.py holds to one kind of processor and one thread; all else is additions and multiplications in a written order.
"""

import math

import numba
import numpy as np
from safetensors.numpy import load

EPSILON = 1e-12
LOG2E, LN2 = 1 / math.log(2), math.log(2)
TAYLOR = tuple(1 / math.factorial(n) for n in range(12, -1, -1))


@numba.njit
def _exp(x):
    """e^x for x ≤ 0, by its series between -ln 2 / 2 and ln 2 / 2: a library's may differ in the last bit."""
    if x < -700:
        return 0.0
    n = math.floor(x * LOG2E + 0.5)
    r, p = x - n * LN2, 0.0
    for c in TAYLOR:
        p = p * r + c
    return p * 2.0 ** int(n)


@numba.njit
def _gelu(x):
    """x Φ(x), with the error function to 1.5e-7 (Abramowitz and Stegun 7.1.26)."""
    flat = x.reshape(-1)
    for i in range(flat.size):
        v = np.float64(flat[i])
        z = abs(v) * math.sqrt(0.5)
        t = 1 / (1 + 0.3275911 * z)
        p = ((((1.061405429 * t - 1.453152027) * t + 1.421413741) * t - 0.284496736) * t + 0.254829592) * t
        erf = 1 - p * _exp(-z * z)
        flat[i] = 0.5 * v * (1 + (erf if v >= 0 else -erf))


@numba.njit
def _softmax(x):
    rows = x.reshape(-1, x.shape[-1])
    for i in range(len(rows)):
        row = rows[i]
        top, total = row.max(), 0.0
        for j in range(row.size):
            e = _exp(np.float64(row[j]) - top)
            row[j] = e
            total += e
        for j in range(row.size):
            row[j] /= total


@numba.njit
def _norm(x, weight, bias):
    rows = x.reshape(-1, x.shape[-1])
    for i in range(len(rows)):
        row = rows[i]
        mean = 0.0
        for v in row:
            mean += v
        mean /= row.size
        spread = 0.0
        for v in row:
            spread += (v - mean) * (v - mean)
        scale = 1 / math.sqrt(spread / row.size + EPSILON)
        for j in range(row.size):
            row[j] = (row[j] - mean) * scale * weight[j] + bias[j]


@numba.njit
def _pooled(x):
    """Unit vectors of the means of all tokens."""
    out = np.empty((x.shape[0], x.shape[2]), np.float32)
    for i in range(x.shape[0]):
        total, squares = np.zeros(x.shape[2]), 0.0
        for j in range(x.shape[1]):
            for k in range(x.shape[2]):
                total[k] += x[i, j, k]
        for k in range(x.shape[2]):
            squares += total[k] * total[k]
        for k in range(x.shape[2]):
            out[i, k] = total[k] / math.sqrt(squares)
    return out


class Encoder:
    def __init__(self, weights: bytes, heads: int):
        self.w = {k.removeprefix("bert."): v for k, v in load(weights).items()}
        self.heads = heads
        self.layers = 1 + max(int(k.split(".")[2]) for k in self.w if k.startswith("encoder.layer."))

    def _dense(self, x: np.ndarray, name: str) -> np.ndarray:
        w = self.w[name + ".weight"]
        return (x.reshape(-1, w.shape[1]) @ w.T + self.w[name + ".bias"]).reshape(*x.shape[:-1], w.shape[0])

    def _normed(self, x: np.ndarray, name: str) -> np.ndarray:
        _norm(x, self.w[name + ".weight"], self.w[name + ".bias"])
        return x

    def _layer(self, x: np.ndarray, i: int) -> np.ndarray:
        p = f"encoder.layer.{i}."
        batch, length, dim = x.shape
        q, k, v = (np.ascontiguousarray(self._dense(x, p + "attention.self." + name)
                                        .reshape(batch, length, self.heads, dim // self.heads).transpose(0, 2, 1, 3))
                   for name in ("query", "key", "value"))
        seen = q @ np.ascontiguousarray(k.transpose(0, 1, 3, 2)) * np.float32(1 / math.sqrt(dim / self.heads))
        _softmax(seen)
        joined = np.ascontiguousarray((seen @ v).transpose(0, 2, 1, 3)).reshape(batch, length, dim)
        x = self._normed(x + self._dense(joined, p + "attention.output.dense"), p + "attention.output.LayerNorm")
        wide = self._dense(x, p + "intermediate.dense")
        _gelu(wide)
        return self._normed(x + self._dense(wide, p + "output.dense"), p + "output.LayerNorm")

    def __call__(self, ids: np.ndarray) -> np.ndarray:
        """Gives unit vectors [batch, dim] of ids [batch, length], by the mean of all tokens."""
        e = "embeddings."
        x = self.w[e + "word_embeddings.weight"][ids] + self.w[e + "token_type_embeddings.weight"][0]
        x = self._normed(x + self.w[e + "position_embeddings.weight"][:ids.shape[1]], e + "LayerNorm")
        for i in range(self.layers):
            x = self._layer(x, i)
        return _pooled(x)
