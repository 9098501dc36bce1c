"""The options of all commands, for Typer, and how their values are read. Paints nothing."""
