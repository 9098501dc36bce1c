"""Compares an exported bundle with the network it was made from. Changes neither."""
