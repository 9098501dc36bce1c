"""The output folder: ledger, claims, fingerprints, settings. Knows no Typer."""
