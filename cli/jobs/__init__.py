"""The plan of every batch, and plain records: job, painting, invocation. Knows no Typer."""
