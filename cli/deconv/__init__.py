"""The sheets of `nstbatch deconv`: a file for each kind, which plans and paints. Knows no Typer."""
