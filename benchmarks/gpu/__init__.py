"""Checks of correctness and speed on a GPU. Only `peers.py` imports torch."""
