"""The same steps in PyTorch, for comparison. Runs none of our graphs."""
