"""Runs objectives on exported graphs: numpy, onnx and onnxruntime, no torch."""
