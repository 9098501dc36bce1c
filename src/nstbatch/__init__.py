"""Batch neural style transfer and network visualisation through ONNX graphs."""

from importlib.metadata import version

__version__ = version("nstbatch")
