"""TensorRT's parser and CUDA's provider accept every operator in every graph that a verb runs.

No GPU is needed: the graphs that sessions are opened with, rewritten for GPUs, are compared with
what is known to fail on CUDA, and with the "Operator Support Matrix" of onnx-tensorrt for TensorRT
10.15 (linked in docs/gpu.md). ONNX Runtime gives a node that the parser refuses to CUDA, which
costs copies and splits the graph into small engines.
"""

from collections.abc import Iterator
from typing import Any

import every_graph
import onnx
import onnx_ir as ir
import pytest
from every_graph import MODELS
from onnx.shape_inference import infer_shapes

from nstbatch.runtime.deconvnet.deconvnet_options import RULES
from nstbatch.runtime.descent.averaged import Averaged
from nstbatch.runtime.descent.normalized_gradient import NormalizedGradient
from nstbatch.runtime.descent.optimizers import LBFGS, Adam
from nstbatch.runtime.devices.providers import Provider
from nstbatch.runtime.engine.engine import Engine
from nstbatch.runtime.gpu_graphs.gpu_rewriting import rewritten_for_gpu
from nstbatch.runtime.gpu_graphs.half_precision import reached_from
from nstbatch.runtime.graphs import specialise as specialise_module
from nstbatch.runtime.graphs.broadcast_products import shape_of
from nstbatch.runtime.graphs.specialise import specialise
from nstbatch.runtime.systems.dream_options import PRIORS

PROVIDERS = (Provider("cpu", "fp32"), Provider("cpu", "fp16"))

FLOATS = frozenset({"FLOAT", "FLOAT16"})
NUMBERS = FLOATS | {"INT32", "INT64"}
ALL = NUMBERS | {"BOOL"}
BOOL = frozenset({"BOOL"})

# The operators of the matrix that our graphs may contain, by the types it lists for them.
ON_FLOATS = (
    "AveragePool", "Clip", "Conv", "ConvTranspose", "Cos", "Exp", "Gemm", "GlobalAveragePool",
    "HardSigmoid", "Log", "LogSoftmax", "MatMul", "MaxPool", "Reciprocal", "Resize", "Sigmoid",
    "Sin", "Softmax", "Sqrt", "Tanh",
)  # fmt: skip
ON_NUMBERS = (
    "Abs", "Add", "ArgMax", "DepthToSpace", "Div", "Equal", "Greater", "GreaterOrEqual", "Less",
    "LessOrEqual", "Max", "Min", "Mod", "Mul", "Neg", "Pad", "Pow", "Range", "ReduceL2",
    "ReduceMax", "ReduceMean", "ReduceMin", "ReduceProd", "ReduceSum", "Relu", "ScatterElements",
    "ScatterND", "Sign", "SpaceToDepth", "Sub", "Sum", "TopK",
)  # fmt: skip
ON_ALL = (
    "Cast", "Concat", "Constant", "ConstantOfShape", "Expand", "Flatten", "Gather",
    "GatherElements", "GatherND", "Identity", "Reshape", "Shape", "Size", "Slice", "Split",
    "Squeeze", "Tile", "Transpose", "Unsqueeze", "Where",
)  # fmt: skip
SUPPORTED = {
    **dict.fromkeys(ON_FLOATS, FLOATS),
    **dict.fromkeys(ON_NUMBERS, NUMBERS),
    **dict.fromkeys(ON_ALL, ALL),
    **dict.fromkeys(("And", "Not", "Or", "Xor"), BOOL),
}
# Operators whose later inputs have types of their own: indices, shapes, conditions, scales.
FREE = {"Gather", "Slice", "Pad", "Where", "Reshape", "Resize", "Expand", "ScatterND", "Unsqueeze"}
FREE |= {"Squeeze", "Split", "Tile", "ConstantOfShape", "Cast", "Shape", "Size", "TopK"}
FREE |= {"ScatterElements"}
# TensorRT's ITopKLayer: "K is limited to 3840".
LARGEST_K = 3840
COMPARISONS = frozenset({"Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual"})
CONSTANT_AXES = frozenset({"Squeeze", "Unsqueeze"})


def complaints(model: onnx.ModelProto) -> set[str]:
    """Reasons for which TensorRT's parser would refuse a graph; empty if it accepts all of it."""
    return {found for node in ir.from_proto(model).graph for found in _complaints(node)}


def _complaints(node: ir.Node) -> Iterator[str]:
    kind = node.op_type
    if kind not in SUPPORTED or node.domain not in ("", "ai.onnx"):
        yield f"{kind} is not supported"
        return
    values = [*node.inputs[: 1 if kind in FREE else None], *node.outputs[:1]]
    types = SUPPORTED[kind] | (BOOL if kind in COMPARISONS else frozenset())
    for value in values:
        if value is not None and value.dtype is None:
            yield f"{kind}: the type of {value.name} is unknown"
        elif value is not None and value.dtype.name not in types:
            yield f"{kind} is not supported on {value.dtype.name}"
    if (kind in CONSTANT_AXES or kind.startswith("Reduce")) and len(node.inputs) > 1:
        axes = node.inputs[1]
        if axes is not None and ir.convenience.get_const_tensor(axes) is None:
            yield f"{kind}: axes are not constant"
    if kind == "MaxPool" and len(node.outputs) > 1:
        yield "MaxPool: Indices"
    if kind in ("MaxPool", "AveragePool"):
        if len(node.attributes["kernel_shape"].as_ints()) not in (2, 3):
            yield f"{kind}: 2D or 3D only"
        if "dilations" in node.attributes and set(node.attributes["dilations"].as_ints()) != {1}:
            yield f"{kind}: dilations"
    if kind == "TopK":
        most = ir.convenience.get_const_tensor(node.inputs[1])
        if most is None or most.numpy().max() > LARGEST_K:
            yield f"TopK: more than {LARGEST_K}"
    if kind in ("ScatterND", "ScatterElements") and _text(node, "reduction", "none") != "none":
        yield f"{kind}: reduction"
    if kind == "Resize":
        if _text(node, "mode", "nearest") not in ("nearest", "linear"):
            yield "Resize: mode"
        if _text(node, "coordinate_transformation_mode", "half_pixel") == "tf_crop_and_resize":
            yield "Resize: transformation"
    if kind == "ConvTranspose" and "output_shape" in node.attributes:
        yield "ConvTranspose: output_shape (onnx-tensorrt#1042)"


def _text(node: ir.Node, name: str, default: str) -> str:
    return node.attributes[name].as_string() if name in node.attributes else default


@pytest.fixture
def opened(monkeypatch) -> list[onnx.ModelProto]:
    """The graphs of all sessions opened during the test, as the provider receives them."""
    graphs = []

    def recording(model, shapes):
        graphs.append(specialise(model, shapes))
        return graphs[-1]

    monkeypatch.setattr(specialise_module, "specialise", recording)
    monkeypatch.setenv("NSTBATCH_CACHE", "off")  # cached graphs are already specialised
    return graphs


def check(opened: list[onnx.ModelProto], at_least: int) -> None:
    assert len(opened) >= at_least
    for precision in ("fp32", "fp16"):
        rewritten = [infer_shapes(rewritten_for_gpu(model, precision)) for model in opened]
        assert set().union(*map(complaints, rewritten)) == set()
        assert set().union(*map(faults_on_cuda, rewritten)) == set()


def faults_on_cuda(model: onnx.ModelProto) -> set[str]:
    """Nodes that ONNX Runtime 1.31's CUDA provider gets wrong or cannot record; docs/gpu.md."""
    return set(_faults(ir.from_proto(model).graph))


def _faults(graph: ir.Graph) -> Iterator[str]:
    computed = reached_from(graph.inputs, graph)
    for node in graph:
        if node.op_type == "Pad" and node.inputs[3:]:
            yield f"{node.name}: a Pad that names axes"
        if node.op_type == "Conv" and node.inputs[1] in computed:
            colours = shape_of(node.inputs[1])[:2] == (3, 3)  # of a spectrum, in float32
            if not colours:
                yield f"{node.name}: a Conv with computed filters"
        if node.op_type == "MatMul":
            left, right = (shape_of(value)[:-2] for value in node.inputs)
            if right and left != right:
                yield f"{node.name}: a MatMul of {left} and {right} matrices"


def name_of(value: object) -> str | None:
    return value.precision if isinstance(value, Provider) else None


def each(*choices: object) -> pytest.MarkDecorator:
    """Every network with every choice, and either of them in both precisions, by turns."""
    cases = [
        (PROVIDERS[(row + column) % 2], model, choice)
        for row, model in enumerate(MODELS)
        for column, choice in enumerate(choices)
    ]
    return pytest.mark.parametrize(("provider", "model", "choice"), cases, ids=name_of)


def on(provider: Provider) -> every_graph.On:
    """A function that makes systems, or engines, that run on a provider."""

    def made(kind: Any, *arguments: Any) -> Any:
        system = kind(*arguments, device="cpu", threads=1)
        engine = system if isinstance(system, Engine) else system.engine
        engine.provider = provider
        return system

    return made


@each(*every_graph.STYLES)
def test_stylize(opened, provider, model, choice):
    every_graph.stylize(on(provider), model, *choice)
    check(opened, 4)  # content, style, step, update


@pytest.mark.parametrize("provider", PROVIDERS, ids=name_of)
@pytest.mark.parametrize("style_loss", every_graph.STYLE_LOSSES)
def test_style_losses(opened, provider, style_loss):
    every_graph.style_loss(on(provider), style_loss)
    check(opened, 4)


@pytest.mark.parametrize("provider", PROVIDERS, ids=name_of)
@pytest.mark.parametrize("loss", every_graph.REGIONS)
def test_regions(opened, provider, loss):
    every_graph.regions(on(provider), loss)
    check(opened, 4)


@pytest.mark.parametrize("provider", PROVIDERS, ids=name_of)
def test_means_and_copied_edges(opened, provider):
    every_graph.crowson(on(provider))
    check(opened, 4)


@each(*every_graph.POOLINGS)
def test_stylize_by_nearest_neighbours(opened, provider, model, choice):
    every_graph.nearest_neighbours(on(provider), model, choice)
    check(opened, 6)  # columns of both, search, self-similarity, step, update


@each(*every_graph.TEXTURES)
def test_texture(opened, provider, model, choice):
    every_graph.texture(on(provider), model, *choice)
    check(opened, 3)


@each(*every_graph.FILLINGS)
def test_fill(opened, provider, model, choice):
    every_graph.fill(on(provider), model, choice)
    check(opened, 2)  # columns, search


@each(*every_graph.RECONSTRUCTIONS)
def test_reconstruct(opened, provider, model, choice):
    every_graph.reconstruct(on(provider), model, *choice)
    check(opened, 3)


@each(False, True)
def test_dream(opened, provider, model, choice):
    every_graph.dream(on(provider), model, choice)
    check(opened, 2)


@pytest.mark.parametrize("prior", PRIORS)
@pytest.mark.parametrize("provider", PROVIDERS, ids=name_of)
def test_class_pictures(opened, provider, prior):
    every_graph.class_picture(on(provider), prior)
    check(opened, 2)


@each(*RULES)
def test_deconv(opened, provider, model, choice):
    every_graph.project(on(provider), model, choice)
    check(opened, 1)


@pytest.mark.parametrize(
    "optimizer",
    [
        Adam(),
        LBFGS(history=3),
        LBFGS(history=3, neighbourhood=3),
        NormalizedGradient(),
        Averaged(Adam(), 0.99),
        Averaged(LBFGS(history=3), 0.99),
    ],
    ids=["adam", "lbfgs", "lbfgs-by-place", "normalized", "averaged-adam", "averaged-lbfgs"],
)
def test_updates(optimizer):
    graph = optimizer.graph((2, 3, 8, 6))
    shapes = {
        value.name: tuple(size.dim_value for size in value.type.tensor_type.shape.dim)
        for value in graph.graph.input
    }
    assert complaints(specialise(graph, shapes)) == set()


# --- The list itself ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("nodes", "complaint"),
    [
        ("y, i = MaxPool<kernel_shape = [2, 2]>(x)", "MaxPool: Indices"),
        ("y = MaxPool<kernel_shape = [2, 2], dilations = [2, 2]>(x)", "MaxPool: dilations"),
        ("y = ReduceSum(x, axes)", "ReduceSum: axes are not constant"),
        ("d = Cast<to = 11>(x)  y = Cast<to = 1>(d)", "Cast is not supported on DOUBLE"),
        ("y = Det(x)", "Det is not supported"),
        ('y = Resize<mode = "cubic">(x, , scales)', "Resize: mode"),
        (
            'y = ScatterND<reduction = "add">(x, axes4, x)',
            "ScatterND: reduction",
        ),
        ("y = Relu(x)", None),
        ("c = Less(x, x)  d = Not(c)  y = Where(d, x, x)", None),
    ],
)
def test_what_the_parser_refuses_is_found(nodes, complaint):
    text = f"""
        <ir_version: 9, opset_import: ["" : 20]>
        network (float[4, 4, 8, 8] x, int64[2] axes, int64[4, 1] axes4) => (y)
        <float[4] scales = {{1.0, 1.0, 2.0, 2.0}}> {{ {nodes} }}
    """
    model = onnx.parser.parse_model(text)
    shapes = {"x": (4, 4, 8, 8), "axes": (2,), "axes4": (4, 1)}
    graph = ir.from_proto(model)
    for value in graph.graph.inputs:
        value.shape = ir.Shape(shapes[value.name])
    ir.passes.common.ShapeInferencePass()(graph)
    assert complaints(ir.to_proto(graph)) == ({complaint} if complaint else set())
