"""Checks of correctness and speed on a GPU, with PyTorch for comparison."""
