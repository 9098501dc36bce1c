"""The same steps in PyTorch, for comparison."""
