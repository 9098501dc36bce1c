"""A folder that is watched: what has arrived in it, round by round. Knows no Typer."""
