"""The plain words of every batch: plan, job, painting, invocation. Knows no Typer."""
