"""Writes a PyTorch network down as ONNX graphs. Imports torch; `cli` and `runtime` do not."""
