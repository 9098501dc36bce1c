"""PyTorch networks and their weights: built-in, from the model zoo, or a user's own."""
