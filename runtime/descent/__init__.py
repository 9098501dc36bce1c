"""The descent of an image: optimisers, sizes, loop and checkpoints. Knows no ONNX Runtime."""
