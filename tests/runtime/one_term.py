"""Runs one term alone, for comparison with its formula in PyTorch."""

import numpy as np
import onnx
import torch

from nstbatch.runtime.devices.providers import resolve
from nstbatch.runtime.engine.open_session import open_session
from nstbatch.runtime.graphs.link import link, link_targets
from nstbatch.runtime.names import GRADIENT, GUIDE, IMAGE, LOSSES, TARGET, WEIGHT
from nstbatch.runtime.objectives.terms import Objective

CPU = resolve("cpu")

# The image is its only layer, so the gradient is the term's cotangent.
IDENTITY = """
    <ir_version: 9, opset_import: ["" : 20]>
    identity (float[N, C, H, W] image, float[N, C, H, W] "cotangent/feature")
        => (feature, gradient) {
        feature = Identity(image)
        gradient = Identity("cotangent/feature")
    }
"""


def run_term(term, image, target=None, weight=None, guide=None):
    """Loss (N,) and cotangent (N, C, H, W) of one term on an image that is its own feature."""
    pictures = len(image)
    weights = np.ones(pictures, np.float32) if weight is None else weight
    inputs = {IMAGE: image, WEIGHT + term.name: weights}
    if target is not None:
        inputs[TARGET + term.name] = target
    if guide is not None:
        inputs[GUIDE + term.name] = guide
    shapes = {name: values.shape for name, values in inputs.items()}
    identity = IDENTITY.replace("N, C, H, W", ", ".join("NCHW"[: image.ndim]))
    graph = link(onnx.parser.parse_model(identity), [term], pictures)
    outputs = open_session(graph, shapes, CPU, threads=1).run(inputs)
    assert outputs[LOSSES].shape == (pictures, 1)
    return outputs[LOSSES][:, 0], outputs[GRADIENT]


def run_target(term, image, guide=None):
    forward = onnx.parser.parse_model(IDENTITY)
    del forward.graph.output[1], forward.graph.input[1], forward.graph.node[1]
    inputs = {IMAGE: image} if guide is None else {IMAGE: image, GUIDE + term.name: guide}
    shapes = {name: values.shape for name, values in inputs.items()}
    session = open_session(link_targets(forward, [term]), shapes, CPU, threads=1)
    return session.run(inputs)[TARGET + term.name]


def autograd(loss, image, *others):
    """Loss (N,) in float64 and the derivative of its sum in the image."""
    variable, *others = (torch.tensor(values, dtype=torch.float64) for values in (image, *others))
    variable.requires_grad_()
    losses = loss(variable, *others)
    losses.sum().backward()
    return losses.detach().numpy(), variable.grad.numpy()


def gram(feature):
    flat = feature.flatten(2)
    return flat @ flat.mT / feature[0].numel()


def only(objective: Objective):
    (term,) = objective.terms
    return term


def random(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape, dtype=np.float32)


def assert_same(ours, theirs):
    """Loss and cotangent within float32's rounding, 6e-8, of some twenty operations."""
    for mine, expected in zip(ours, theirs, strict=True):
        assert mine.shape == expected.shape
        assert mine.dtype == np.float32
        difference = np.linalg.norm((mine - expected).ravel())
        assert difference <= 1e-6 * np.linalg.norm(expected.ravel())
