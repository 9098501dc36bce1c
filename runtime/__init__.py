"""Runs objectives on exported graphs with numpy, onnx and onnxruntime. Never imports torch."""
