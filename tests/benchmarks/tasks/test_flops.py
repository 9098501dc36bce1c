import onnx
import pytest

from nstbatch.benchmarks.contest.contestants import objective_of, targets_of
from nstbatch.benchmarks.contest.judge import Judge
from nstbatch.benchmarks.tasks.flops import operations
from nstbatch.benchmarks.tasks.tasks import make_task
from nstbatch.runtime.engine.engine import Engine
from nstbatch.runtime.graphs.live_bytes import bytes_of
from nstbatch.runtime.graphs.measured_step_graph import step_graph

GRAPHS = {
    # Each output value reads a window of 3 channels by 3 by 5.
    "Conv": (
        "(float[2, 3, 8, 9] x, float[7, 3, 3, 5] w) => (float[2, 7, 6, 5] y) { y = Conv(x, w) }",
        2 * (2 * 7 * 6 * 5) * (3 * 3 * 5),
    ),
    "grouped Conv": (
        "(float[1, 4, 8, 8] x, float[6, 2, 3, 3] w) => (float[1, 6, 6, 6] y)"
        "{ y = Conv <group = 2> (x, w) }",
        2 * (6 * 6 * 6) * (2 * 9),
    ),
    # Each input value is spread over 5 channels by 3 by 3.
    "ConvTranspose": (
        "(float[1, 4, 6, 6] x, float[4, 5, 3, 3] w) => (float[1, 5, 13, 13] y)"
        "{ y = ConvTranspose <strides = [2, 2]> (x, w) }",
        2 * (4 * 6 * 6) * (5 * 9),
    ),
    "MatMul": (
        "(float[3, 4, 5] x, float[3, 5, 6] w) => (float[3, 4, 6] y) { y = MatMul(x, w) }",
        2 * (3 * 4 * 6) * 5,
    ),
    "Gemm": (
        "(float[5, 4] x, float[5, 6] w) => (float[4, 6] y) { y = Gemm <transA = 1> (x, w) }",
        2 * (4 * 6) * 5,
    ),
    "nothing to multiply": ("(float[5] x) => (float[5] y) { y = Relu(x) }", 0),
}


@pytest.mark.parametrize("name", GRAPHS)
def test_operations_are_counted(name):
    graph, expected = GRAPHS[name]
    model = onnx.parser.parse_model(f'<ir_version: 10, opset_import: ["": 20]> g {graph}')
    assert operations(model) == expected


def test_what_is_computed_on_the_way_counts_too():
    model = onnx.parser.parse_model(
        '<ir_version: 10, opset_import: ["": 20]> g (float[4, 5] x, float[5, 6] w, float[6, 7] v)'
        "=> (float[4, 7] y) { h = MatMul(x, w) r = Relu(h) y = MatMul(r, v) }"
    )
    assert operations(model) == 2 * 4 * 6 * 5 + 2 * 4 * 7 * 6


def test_sizes_that_are_not_known_are_no_zero():
    model = onnx.parser.parse_model(
        '<ir_version: 10, opset_import: ["": 20]>'
        "g (float[N, 5] x, float[5, 6] w) => (float[N, 6] y) { y = MatMul(x, w) }"
    )
    with pytest.raises(ValueError, match="not known"):
        operations(model)


def test_a_step_of_vgg_is_its_convolutions_there_and_back_and_its_gram_matrices():
    """Count by hand VGG16 up to relu5_1: width, height and channels of every layer."""
    size = 64
    convolutions = [(3, 64, 1), (64, 64, 1), (64, 128, 2), (128, 128, 2)]
    convolutions += [(128, 256, 4), *[(256, 256, 4)] * 2, (256, 512, 8), *[(512, 512, 8)] * 2]
    convolutions += [(512, 512, 16)]
    once = [2 * 9 * (size // stride) ** 2 * c_in * c_out for c_in, c_out, stride in convolutions]
    grams = [(64, 1), (128, 2), (256, 4), (512, 8), (512, 16)]
    # F F^T, and (G - A) F in the backward pass.
    of_style = [2 * 2 * c * c * (size // stride) ** 2 for c, stride in grams]
    expected = 2 * sum(once) + sum(of_style)
    counted = Judge(make_task("stylize", "vgg16", size, 1), threads=1).operations()
    # Beyond these, preprocessing is a 1x1 convolution of three channels.
    assert expected <= counted <= 1.001 * expected


def test_work_grows_with_the_batch():
    one, three = (
        Judge(make_task("stylize", "squeezenet1_1", 64, batch), threads=1).operations()
        for batch in (1, 3)
    )
    assert three == 3 * one


def test_a_batch_is_as_much_work_as_its_pictures():
    """Except for the divisors of overlapping average pools, which all pictures share."""
    task = make_task("stylize", "squeezenet1_1", 64, 3)
    engine, objective = Engine("squeezenet1_1", device="cpu", threads=1), objective_of(task)
    shapes = {name: t.shape for name, t in targets_of(task, engine, objective).items()}
    graph = engine.bundle.read_graph("gradient", task.pooling)
    whole = step_graph(graph, objective.terms, task.images.shape, shapes)
    judge = Judge(task, threads=1)
    assert operations(whole) == pytest.approx(judge.operations(), rel=1e-3)
    assert bytes_of(whole) == judge.activation_bytes()
