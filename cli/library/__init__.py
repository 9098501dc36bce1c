"""The batch of the command line as an object for Python programs. Knows no Typer."""
