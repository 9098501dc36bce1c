"""Options for Typer: those of single verbs, and groups that verbs share. Paints nothing."""
