import numpy as np
import onnx
import pytest

from nstbatch.benchmarks.tasks import matrix_rate
from nstbatch.benchmarks.tasks.flops import operations
from nstbatch.benchmarks.tasks.matrix_rate import (
    ATTEMPTS,
    CHAIN,
    LONG_ENOUGH,
    Product,
    chain_operations,
    fastest,
    long_enough,
    matrix_operations,
    measured_rate,
    onnx_products,
)
from nstbatch.runtime.devices.providers import Provider
from nstbatch.runtime.engine.open_session import open_session


class Machine:
    """A clock, and products that move it forward."""

    def __init__(self):
        self.now = 0.0

    def clock(self) -> float:
        return self.now

    def product(self, operations: int, *seconds: float) -> Product:
        """A product that takes these times in turn, again and again."""
        left = list(seconds)

        def run() -> None:
            self.now += left[0]
            left.append(left.pop(0))

        return Product(operations, run)


def test_operations_are_two_for_each_multiplication_and_addition():
    assert matrix_operations(3) == 2 * 27
    assert chain_operations(128, 16) == CHAIN * 2 * (16 * 16) * 128 * 128 * 9


def test_the_first_size_that_takes_long_enough_is_taken():
    machine = Machine()

    def open_product(side: int) -> Product:
        return machine.product(side, LONG_ENOUGH * side / 3)

    assert long_enough(open_product, (1, 2, 4, 8), machine.clock).operations == 4
    assert long_enough(open_product, (1, 2), machine.clock).operations == 2  # the largest one


def test_the_rate_is_that_of_the_fastest_run_and_the_first_does_not_count():
    machine = Machine()
    product = machine.product(100, 0.1, 5.0, 2.0, *[4.0] * (ATTEMPTS - 2))
    assert measured_rate([product], machine.clock) == 50
    assert measured_rate([]) == 0


def test_the_fastest_product_is_the_one_of_the_highest_rate():
    machine = Machine()
    slow, fast = machine.product(100, 1.0), machine.product(1000, 2.0)
    assert fastest([slow, fast], machine.clock) == (fast,)
    assert measured_rate([slow, fast], machine.clock) == 500
    assert fastest([]) == ()


@pytest.fixture
def opened(monkeypatch):
    """Graphs and sessions of the opened products, which are small here."""
    found = []

    def recorded(model, shapes, provider, **options):
        session = open_session(model, shapes, provider, **options)
        found.append((model, session))
        return session

    monkeypatch.setattr("nstbatch.runtime.engine.open_session.open_session", recorded)
    monkeypatch.setattr(matrix_rate, "MATRIX_SIDES", (8,))
    monkeypatch.setattr(matrix_rate, "MAP_SIDES", (4,))
    monkeypatch.setattr(matrix_rate, "CHANNELS", (16, 32))
    return found


def test_products_run_through_the_provider(opened):
    products = onnx_products(Provider("cpu", "fp32"), threads=1)
    assert measured_rate(products) > 0
    for product, (model, _) in zip(products, opened, strict=True):
        onnx.checker.check_model(model)
        assert operations(model) == product.operations
    (matrix, session), (chain, chained), _ = opened
    assert [node.op_type for node in matrix.graph.node] == ["MatMul"]
    assert [node.op_type for node in chain.graph.node] == ["Conv"] * CHAIN
    values = np.eye(8, dtype=np.float32)
    weights = np.frombuffer(matrix.graph.initializer[0].raw_data, np.float32).reshape(8, 8)
    assert np.allclose(session.run({"values": values})["product"], weights)
    # Otherwise half precision would overflow or lose the values.
    random = np.random.default_rng(0).standard_normal((1, 16, 4, 4), dtype=np.float32)
    assert 0.1 < chained.run({"values": random})["product"].std() < 2
