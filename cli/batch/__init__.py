"""Carries out a plan, with several jobs at a time if need be. Knows no Typer and no page."""
