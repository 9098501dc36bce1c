"""Holds an exported bundle against the network that it was made of."""
