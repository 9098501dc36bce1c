"""PyTorch networks: the built-in ones, those of the model zoo, and a user's own, with their weights."""
