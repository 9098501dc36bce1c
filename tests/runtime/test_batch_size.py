"""Bytes counted by hand, and batches that fit."""

import onnx
import pytest

from nstbatch.runtime.batch_size import OVERHEAD, activation_bytes, largest_batch
from nstbatch.runtime.bundle import Bundle
from nstbatch.runtime.link import IMAGE, link
from nstbatch.runtime.specialise import specialise
from nstbatch.runtime.terms import content


def graph(text: str, shape=(1, 1, 2, 2)) -> onnx.ModelProto:
    model = onnx.parser.parse_model(
        f"""<ir_version: 9, opset_import: ["" : 20]>
        network (float[N, C, H, W] x) => (float[N, C, H, W] y)
        <float[1] constant = {{2.0}}> {{ {text} }}"""
    )
    return specialise(model, {"x": shape})


PLANE = 4 * 4  # bytes of a value


@pytest.mark.parametrize(
    ("nodes", "values"),
    [
        ("y = Relu(x)", 2),  # input and output
        ("a = Relu(x)  b = Neg(a)  y = Relu(b)", 4),  # a and b beside the two
        ("a = Relu(x)  b = Neg(a)  c = Abs(b)  y = Add(a, c)", 5),  # a is read at the end
        ("a = Relu(x)  b = Neg(a)  c = Abs(b)  y = Relu(c)", 4),  # a is gone when c comes
        ("a = Mul(x, constant)  y = Relu(a)", 3),
    ],
)
def test_what_is_still_to_be_read_is_held(nodes, values):
    assert activation_bytes(graph(nodes)) == values * PLANE


def test_half_precision_takes_half():
    text = "h = Cast<to = 10>(x)  i = Neg(h)  y = Cast<to = 1>(i)"
    assert activation_bytes(graph(text)) == 2 * PLANE + 2 * PLANE // 2


def test_a_step_grows_with_its_pictures_and_pixels():
    bundle = Bundle.load("alexnet")
    (term,) = content("relu3").terms
    found = {}
    for pictures, side in ((1, 64), (2, 64), (1, 128)):
        network = link(bundle.read_graph("gradient", "avg"), (term,), pictures)
        inner = side // 16 - 1
        shapes = {IMAGE: (pictures, 3, side, side), f"weight/{term.name}": (pictures,)}
        shapes[f"target/{term.name}"] = (pictures, 384, inner, inner)
        found[pictures, side] = activation_bytes(specialise(network, shapes))
    assert found[2, 64] == pytest.approx(2 * found[1, 64], rel=0.01)
    assert 3.5 < found[1, 128] / found[1, 64] < 5


@pytest.mark.parametrize(
    ("free", "most", "batch"),
    [(0, 16, 1), (100, 16, 1), (299, 16, 1), (300, 16, 2), (10**6, 16, 16)],
)
def test_a_batch_fits(free, most, batch):
    assert OVERHEAD == 1.5
    assert largest_batch(100, free, most) == batch
