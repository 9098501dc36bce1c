"""Contestants that take turns, each in its own process, and a judge. Imports no torch itself."""
