"""The data types of every batch: plan, job, painting, invocation. Knows no Typer."""
