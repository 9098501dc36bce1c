"""Carries out a plan, several jobs side by side if need be. Knows no Typer and no page."""
