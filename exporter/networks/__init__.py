"""PyTorch networks and their weights, built-in or a user's own. Knows no ONNX."""
