"""Writes a PyTorch network down as ONNX graphs; the only package that imports torch."""
