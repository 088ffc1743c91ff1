"""Writes the graph of all-MiniLM-L6-v2, without its weights: `python tools/generate_minilm_graph.py`.

The weights stay in the published `model.safetensors`: the graph refers to them by their names in that file,
as external data that is given when a session is made. A test compares the file with `graph()`.

The model is BERT with six layers, followed by the mean over the tokens of a text, scaled to length one.
"""

from __future__ import annotations

from math import sqrt
from pathlib import Path

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

FILE = Path(__file__).parents[1] / "langchain_agentmem" / "embeddings" / "minilm.onnx"

LAYERS, HEADS, HIDDEN, INTERMEDIATE = 6, 12, 384, 1536
VOCABULARY, POSITIONS, TOKEN_TYPES = 30522, 512, 2
EPSILON = 1e-12  # of a layer's norm
MASKED = -1e9  # added to the score of a token that only pads


class Graph:
    """A graph under construction: each method adds a node and returns the name of its output."""

    def __init__(self) -> None:
        self.nodes: list[NodeProto] = []
        self.initializers: dict[str, TensorProto] = {}

    def add(self, operator: str, *inputs: str, output: str = "", **attributes: object) -> str:
        """Add a node with one output."""
        output = output or f"{operator}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, inputs, [output], **attributes))
        return output

    def weight(self, name: str, *shape: int) -> str:
        """Add a tensor that the published weights hold under this name."""
        tensor = TensorProto(name=name, data_type=TensorProto.FLOAT, dims=shape)
        tensor.data_location = TensorProto.EXTERNAL
        tensor.external_data.add(key="location", value="model.safetensors")
        self.initializers[name] = tensor
        return name

    def numbers(self, *values: int) -> str:
        """Add a vector of integers, such as axes or parts of a shape."""
        return self._constant("integers_" + "_".join(map(str, values)), np.array(values, np.int64))

    def number(self, value: float) -> str:
        """Add a single float."""
        return self._constant(f"float_{value:.6g}", np.float32(value))

    def _constant(self, name: str, value: np.ndarray | np.float32) -> str:
        self.initializers[name] = numpy_helper.from_array(np.asarray(value), name)
        return name

    def linear(self, x: str, name: str, inputs: int, outputs: int) -> str:
        """Multiply rows by a matrix, which is stored as (outputs, inputs), and add a bias."""
        weight = self.weight(f"{name}.weight", outputs, inputs)
        return self.add("Gemm", x, weight, self.weight(f"{name}.bias", outputs), transB=1)

    def norm(self, x: str, name: str) -> str:
        """Normalise each row."""
        weight, bias = (self.weight(f"{name}.{part}", HIDDEN) for part in ("weight", "bias"))
        return self.add("LayerNormalization", x, weight, bias, axis=-1, epsilon=EPSILON)


def graph() -> ModelProto:
    """Return the model: `ids` and `mask` of shape (texts, tokens) to `vectors` of shape (texts, 384).

    Between the layers, all tokens of all texts are the rows of one matrix, so that a layer is a single
    matrix product.
    """
    g = Graph()
    mask = g.add("Cast", "mask", to=TensorProto.FLOAT)
    shape = g.add("Shape", "ids")
    padding = g.add("Mul", g.add("Sub", g.number(1), mask), g.number(MASKED))
    padding = g.add("Unsqueeze", padding, g.numbers(1, 2))  # (texts, 1, 1, tokens): alike for heads and rows
    x = _embedded(g, shape)
    for layer in range(LAYERS):
        x = _layer(g, x, f"encoder.layer.{layer}", shape, padding)
    _pooled(g, x, shape, mask)
    inputs = [
        helper.make_tensor_value_info(name, TensorProto.INT64, ["texts", "tokens"])
        for name in ("ids", "mask")
    ]
    outputs = [helper.make_tensor_value_info("vectors", TensorProto.FLOAT, ["texts", HIDDEN])]
    return helper.make_model(
        helper.make_graph(g.nodes, "all-MiniLM-L6-v2", inputs, outputs, list(g.initializers.values())),
        opset_imports=[helper.make_opsetid("", 20)],  # the first with Gelu
        ir_version=9,
        producer_name="langchain-agentmem",
    )


def _embedded(g: Graph, shape: str) -> str:
    """Add what a token is, where it stands, and the first of the two types of token."""
    words = g.add("Gather", g.weight("embeddings.word_embeddings.weight", VOCABULARY, HIDDEN), "ids")
    tokens = g.add("Slice", shape, g.numbers(1), g.numbers(2))
    places = g.weight("embeddings.position_embeddings.weight", POSITIONS, HIDDEN)
    places = g.add("Slice", places, g.numbers(0), tokens)
    types = g.weight("embeddings.token_type_embeddings.weight", TOKEN_TYPES, HIDDEN)
    first = g.add("Slice", types, g.numbers(0), g.numbers(1))
    x = g.add("Add", g.add("Add", words, places), first)
    return g.norm(g.add("Reshape", x, g.numbers(-1, HIDDEN)), "embeddings.LayerNorm")


def _layer(g: Graph, x: str, name: str, shape: str, padding: str) -> str:
    """Add attention and feed-forward, each with its input added and normalised."""
    attended = g.linear(
        _attention(g, x, name, shape, padding), f"{name}.attention.output.dense", HIDDEN, HIDDEN
    )
    x = g.norm(g.add("Add", x, attended), f"{name}.attention.output.LayerNorm")
    wide = g.add("Gelu", g.linear(x, f"{name}.intermediate.dense", HIDDEN, INTERMEDIATE))
    narrow = g.linear(wide, f"{name}.output.dense", INTERMEDIATE, HIDDEN)
    return g.norm(g.add("Add", x, narrow), f"{name}.output.LayerNorm")


def _attention(g: Graph, x: str, name: str, shape: str, padding: str) -> str:
    by_head = g.add("Concat", shape, g.numbers(HEADS, HIDDEN // HEADS), axis=0)

    def part(of: str, order: list[int]) -> str:
        rows = g.linear(x, f"{name}.attention.self.{of}", HIDDEN, HIDDEN)
        return g.add("Transpose", g.add("Reshape", rows, by_head), perm=order)

    query, key, value = (
        part(of, order)
        for of, order in (("query", [0, 2, 1, 3]), ("key", [0, 2, 3, 1]), ("value", [0, 2, 1, 3]))
    )
    scores = g.add("Mul", g.add("MatMul", query, key), g.number(1 / sqrt(HIDDEN // HEADS)))
    shares = g.add("Softmax", g.add("Add", scores, padding), axis=-1)
    mixed = g.add("Transpose", g.add("MatMul", shares, value), perm=[0, 2, 1, 3])
    return g.add("Reshape", mixed, g.numbers(-1, HIDDEN))


def _pooled(g: Graph, x: str, shape: str, mask: str) -> None:
    """Add the mean over the tokens of each text, and scale it to length one."""
    x = g.add("Reshape", x, g.add("Concat", shape, g.numbers(HIDDEN), axis=0))
    counted = g.add("Unsqueeze", mask, g.numbers(2))
    total, count = (
        g.add("ReduceSum", summed, g.numbers(1), keepdims=0) for summed in (g.add("Mul", x, counted), counted)
    )
    g.add("LpNormalization", g.add("Div", total, count), axis=-1, p=2, output="vectors")


if __name__ == "__main__":
    FILE.write_bytes(graph().SerializeToString(deterministic=True))
    print(f"{FILE}: {FILE.stat().st_size} bytes")
