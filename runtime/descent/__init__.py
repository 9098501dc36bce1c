"""How an image is moved: optimisers, sizes, the loop and its checkpoints. Knows no ONNX Runtime."""
