"""One library call per verb: its objective, its start and its targets. Knows no batch."""
