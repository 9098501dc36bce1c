"""One library call per method: its objective, start and targets. Knows no batch."""
