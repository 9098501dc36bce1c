"""The timed work: steps of an objective, and matrix products. Knows no PyTorch."""
