"""Measures how fast steps are, in turns with PyTorch; what `nstbatch bench` runs."""
