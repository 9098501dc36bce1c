"""ONNX graphs that are joined, rewritten and measured. Nothing here runs one."""
