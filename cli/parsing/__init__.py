"""How options are read: by Typer, from files, and in groups that verbs share. Defines no option."""
