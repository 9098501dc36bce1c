"""One file per command, and what those that work through a batch share."""
