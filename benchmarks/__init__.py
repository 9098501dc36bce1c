"""Measures the speed of steps, in turns with PyTorch; `nstbatch bench` runs it. Knows no Typer."""
