"""Joins, rewrites and measures ONNX graphs. Runs none of them."""
