"""The graphs that GPUs run give the results of the graphs before, in exact numbers.

float16 is replaced by float32 in both, so that all that is left is the rewriting itself.
"""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime as ort
import pytest

from nstbatch.runtime.bundles.bundle import Bundle
from nstbatch.runtime.gpu_graphs.gpu_rewriting import rewritten_for_gpu
from nstbatch.runtime.gpu_graphs.half_precision import half_precision
from nstbatch.runtime.graphs.link import link
from nstbatch.runtime.graphs.specialise import specialise
from nstbatch.runtime.names import GRADIENT, IMAGE, LOSSES, TARGET, WEIGHT
from nstbatch.runtime.objectives.terms import (
    Objective,
    content,
    scaled_content,
    scaled_style,
    style,
    total_variation,
)
from nstbatch.runtime.pictures.synthetic import photo_like

MODELS = ("alexnet", "squeezenet1_1", "vgg16")
TERMS = {"mse": (style, content), "scaled-mse": (scaled_style, scaled_content)}
HEIGHT, WIDTH = 70, 64  # 35 rows reach the second pooling, whose windows leave one out


def step(
    model: str, pooling: str, error: str, pictures: int, objectives: Sequence[Objective] = ()
) -> tuple[onnx.ModelProto, Path]:
    """A step graph in half precision; of style and content by default."""
    bundle, (style_of, content_of) = Bundle.load(model), TERMS[error]
    usual = (content_of(bundle.content_layers[0]), *map(style_of, bundle.style_layers))
    objective = sum(objectives or usual, total_variation())
    shapes = {IMAGE: (pictures, 3, HEIGHT, WIDTH)}
    shapes |= {WEIGHT + term.name: (pictures,) for term in objective.terms}
    forward = specialise(bundle.read_graph("forward", pooling), {IMAGE: shapes[IMAGE]}).graph
    values = {value.name: value for value in (*forward.output, *forward.value_info)}
    for term in objective.terms:
        if term.has_target:
            size = tuple(d.dim_value for d in values[term.layer].type.tensor_type.shape.dim)
            is_style = term.kind.endswith("style")
            shapes[TARGET + term.name] = (pictures, size[1], size[1]) if is_style else size
    halved = half_precision(bundle.read_graph("gradient", pooling), objective.layers, 0.5)
    return specialise(link(halved, objective.terms, pictures), shapes), bundle.path


def exact(graph: onnx.ModelProto, weights: Path) -> onnx.ModelProto:
    """The graph with float32 in the place of float16."""
    model = ir.from_proto(graph)
    ir.external_data.set_base_dir(model.graph, weights)
    ir.external_data.load_to_model(model)
    for node in model.graph:
        if node.op_type == "Cast" and node.attributes["to"].as_int() == ir.DataType.FLOAT16:
            node.attributes["to"] = ir.AttrInt64("to", int(ir.DataType.FLOAT))
        for name, attribute in list(node.attributes.items()):
            if attribute.type is ir.AttributeType.TENSOR:
                node.attributes[name] = ir.AttrTensor(name, _exact(attribute.as_tensor()))
    values = [value for node in model.graph for value in node.outputs]
    for value in (*values, *model.graph.initializers.values()):
        if value.const_value is not None:
            value.const_value = _exact(value.const_value)
        if value.dtype is ir.DataType.FLOAT16:
            value.dtype = ir.DataType.FLOAT
    return ir.to_proto(model)


def _exact(tensor: ir.TensorProtocol) -> ir.TensorProtocol:
    is_half = tensor.dtype is ir.DataType.FLOAT16
    return ir.tensor(tensor.numpy().astype(np.float32), name=tensor.name) if is_half else tensor


def photos(count: int) -> np.ndarray:
    random = np.random.default_rng(0)
    return np.stack([photo_like(random, HEIGHT, WIDTH) for _ in range(count)])


def results(graph: onnx.ModelProto, images: np.ndarray) -> dict[str, np.ndarray]:
    session = ort.InferenceSession(graph.SerializeToString())
    random = np.random.default_rng(0)
    feeds = {
        value.name: random.random(value.shape, np.float32)
        for value in sorted(session.get_inputs(), key=lambda value: value.name)
    }
    for name, values in feeds.items():
        if values.ndim == 3:  # a Gram matrix
            feeds[name] = values + values.transpose(0, 2, 1)
    feeds[IMAGE] = images
    names = [value.name for value in session.get_outputs()]
    return dict(zip(names, session.run(None, feeds), strict=True))


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("pooling", ["avg", "max"])
@pytest.mark.parametrize(("error", "pictures"), [("mse", 2), ("scaled-mse", 1)])
def test_a_step_is_the_same(model, pooling, error, pictures):
    before, weights = step(model, pooling, error, pictures)
    after = rewritten_for_gpu(before, "fp16")
    bundle = Bundle.load(model)
    assert maxima_of_maps(before) == len({bundle.content_layers[0], *bundle.style_layers})
    assert maxima_of_maps(after) == 1  # the content's
    kinds = Counter(node.op_type for node in after.graph.node)
    assert not kinds["Resize"] + kinds["DepthToSpace"]
    assert not kinds["Sign"] or error == "scaled-mse"  # of differences
    assert_same(before, after, weights, photos(pictures))


def test_the_first_of_equal_maxima_takes_the_cotangent():
    """On a flat half all values of a window are equal."""
    before, weights = step("vgg16", "max", "mse", 1)
    after = rewritten_for_gpu(before, "fp16")
    flat = photos(1)
    flat[..., WIDTH // 2 :] = 0.7
    assert_same(before, after, weights, flat)


def test_a_layer_with_two_losses_keeps_its_cotangent():
    bundle = Bundle.load("squeezenet1_1")
    layer = bundle.content_layers[0]
    before, weights = step("squeezenet1_1", "avg", "mse", 1, (style(layer), content(layer)))
    after = rewritten_for_gpu(before, "fp16")
    assert maxima_of_maps(after) == maxima_of_maps(before) == 1
    assert_same(before, after, weights, photos(1))


def maxima_of_maps(graph: onnx.ModelProto) -> int:
    makers = {name: node.op_type for node in graph.graph.node for name in node.output}
    inputs = [node.input[0] for node in graph.graph.node if node.op_type == "ReduceMax"]
    return sum(makers[name] == "Abs" for name in inputs)


def assert_same(before, after, weights: Path, images: np.ndarray) -> None:
    expected, found = (results(exact(graph, weights), images) for graph in (before, after))
    for name in (LOSSES, GRADIENT):
        difference = np.linalg.norm(found[name] - expected[name])
        assert difference <= 1e-5 * np.linalg.norm(expected[name])
