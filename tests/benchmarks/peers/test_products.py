import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from nstbatch.benchmarks.peers import products
from nstbatch.benchmarks.peers.products import _chain, torch_products
from nstbatch.benchmarks.tasks.matrix_rate import CHAIN, chain_operations, measured_rate


@pytest.fixture
def small(monkeypatch):
    monkeypatch.setattr(products, "MATRIX_SIDES", (8,))
    monkeypatch.setattr(products, "MAP_SIDES", (4,))
    monkeypatch.setattr(products, "CHANNELS", (16,))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_each_product_is_as_many_operations_as_it_says(small, dtype):
    waited = []
    products = torch_products(dtype, "cpu", lambda: waited.append(1))
    assert len(products) == 3
    for product in products:
        before = len(waited)
        with FlopCounterMode(display=False) as counter:
            product.run()
        assert counter.get_total_flops() == product.operations
        assert len(waited) == before + 1
    assert products[1].operations == products[2].operations == chain_operations(16, 4)
    assert measured_rate(products) > 0


def test_a_chain_keeps_its_maps_in_range_and_its_layout():
    values = torch.randn(1, 32, 24, 24).to(memory_format=torch.channels_last)
    network = _chain(32, torch.channels_last)
    with torch.no_grad():
        out = network(values)
    assert len(network) == CHAIN
    assert out.shape == values.shape
    assert out.is_contiguous(memory_format=torch.channels_last)
    # Otherwise half precision would overflow or lose the values.
    assert 0.3 < float(np.std(out.numpy())) < 1.5
