"""The same steps in PyTorch, to be timed beside ours."""
