"""The output folder: ledger, claims, fingerprints and settings. Knows no Typer."""
