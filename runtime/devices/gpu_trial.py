"""Tries CUDA on this machine, in a process of its own: ``python -m`` with this module's name.

A convolution and a product in each precision run on the GPU and are compared with NumPy's. The
process ends with exit code 0 if all is well; else it prints the reason, as the end of a sentence.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

from nstbatch.runtime.arrays import Array
from nstbatch.runtime.errors import ProviderError

from .devices import GPU, in_place, preload
from .nvidia import explained, missing_library
from .providers import Provider, assert_on_device

# As half of what a network does: 64 channels are enough for cuDNN to take tensor cores.
GRAPH = """
    <ir_version: 9, opset_import: ["" : 20]>
    trial (TYPE[1, 64, 16, 16] maps, TYPE[64, 64, 3, 3] filters, TYPE[256, 128] a, TYPE[128, 256] b)
        => (TYPE[1, 64, 16, 16] convolution, TYPE[256, 256] product)
    {
        convolution = Conv <pads = [1, 1, 1, 1]> (maps, filters)
        product = MatMul(a, b)
    }
"""
# Largest relative errors (Frobenius). Sums of random products in fp16 are off by its unit roundoff,
# 2^-11, those in TF32 by as much; the rest is a guess. In fp32 a processor is off by 1e-7.
TOLERANCE = {"fp16": 2**-8, "fp32": 1e-4}
TYPES = {"fp16": ("float16", np.float16), "fp32": ("float", np.float32)}


def reason(device: str = "cuda") -> str | None:
    """Return the reason why a device should not be used here; None if all is well."""
    for precision in ("fp16", "fp32"):
        try:
            errors = relative_errors(Provider(device, precision))
        except ProviderError as error:
            return str(error)
        except Exception as error:  # ONNX Runtime's exceptions share no other base
            return f"it does not run in {precision}: {explained(str(error))}{_help(str(error))}"
        for name, error_of in errors.items():
            if not error_of <= TOLERANCE[precision]:  # also if it is not a number
                return f"its {name} in {precision} is wrong (relative error {error_of:.2g})"
    return None


def _help(message: str) -> str:
    """The command that adds a missing library, as the end of a sentence; "" for other errors."""
    return f"; `{in_place(*GPU)}` installs it" if missing_library(message) else ""


def relative_errors(provider: Provider) -> dict[str, float]:
    """Run the graph on a provider, and return the errors of its outputs by name."""
    import onnx
    import onnxruntime as ort

    if provider.memory == "cuda":
        preload(ort)
    name, kind = TYPES[provider.precision]
    model = onnx.parser.parse_model(GRAPH.replace("TYPE", name))
    options = provider.session_options(threads=1)
    session = ort.InferenceSession(model.SerializeToString(), options, enable_fallback=0)
    assert_on_device(session, provider)
    random = np.random.default_rng(0)
    feeds = {
        each.name: random.standard_normal(each.shape).astype(kind) for each in session.get_inputs()
    }
    found = dict(zip(("convolution", "product"), session.run(None, feeds), strict=True))
    return {name: _error(found[name], values) for name, values in expected(feeds).items()}


def expected(feeds: dict[str, Array]) -> dict[str, Array]:
    """The outputs of the graph, by NumPy in float32."""
    maps, filters, a, b = (values.astype(np.float32) for values in feeds.values())
    padded = np.pad(maps, ((0, 0), (0, 0), (1, 1), (1, 1)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), (2, 3))
    convolution = np.einsum("ncyxij,kcij->nkyx", windows, filters, optimize=True)
    return {"convolution": convolution, "product": a @ b}


def _error(found: Any, values: Array) -> float:
    return float(np.linalg.norm(found.astype(np.float32) - values) / np.linalg.norm(values))


if __name__ == "__main__":
    found = reason()
    print(found or "", end="")
    sys.exit(0 if found is None else 1)
