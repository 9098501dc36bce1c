"""Rewritings of graphs for NVIDIA's GPUs, and for half precision. Knows no session."""
