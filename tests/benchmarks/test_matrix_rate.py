import numpy as np
import pytest

from nstbatch.benchmarks import matrix_rate
from nstbatch.benchmarks.matrix_rate import (
    CHANNELS,
    LONG_ENOUGH,
    Product,
    convolution_operations,
    long_enough,
    matrix_operations,
    measured_rate,
    onnx_products,
)
from nstbatch.runtime.providers import Provider
from nstbatch.runtime.session import Session


def test_operations_are_two_for_each_multiplication_and_addition():
    assert matrix_operations(3) == 2 * 27
    assert convolution_operations(16) == 2 * (16 * 16) * CHANNELS * CHANNELS * 9


def test_the_first_size_that_takes_long_enough_is_taken():
    now = [0.0]

    def open_product(side: int) -> Product:
        def run() -> None:
            now[0] += LONG_ENOUGH * side / 3

        return Product(side, run)

    def clock() -> float:
        return now[0]

    assert long_enough(open_product, (1, 2, 4, 8), clock).operations == 4
    assert long_enough(open_product, (1, 2), clock).operations == 2  # the largest there is


def test_no_products_have_no_rate():
    assert measured_rate([]) == 0


@pytest.fixture
def models(monkeypatch):
    """The product of 8 by 8 or of a map of 4 by 4, and what its graph computes."""
    opened = []

    class Recording(Session):
        def __init__(self, model, shapes, provider, **options):
            super().__init__(model, shapes, provider, **options)
            opened.append((model, self))

    monkeypatch.setattr("nstbatch.runtime.session.Session", Recording)
    monkeypatch.setattr(matrix_rate, "MATRIX_SIDES", (8,))
    monkeypatch.setattr(matrix_rate, "MAP_SIDES", (4,))
    return opened


def test_products_run_through_the_provider(models):
    products = onnx_products(Provider("cpu", "fp32"), threads=1)
    assert [product.operations for product in products] == [1024, convolution_operations(4)]
    assert measured_rate(products) > 0
    (matrix, session), (convolution, _) = models
    assert [node.op_type for node in matrix.graph.node] == ["MatMul"]
    assert [node.op_type for node in convolution.graph.node] == ["Conv"]
    values = np.eye(8, dtype=np.float32)
    weights = np.frombuffer(matrix.graph.initializer[0].raw_data, np.float32).reshape(8, 8)
    assert np.allclose(session.run({"values": values})["product"], weights)
