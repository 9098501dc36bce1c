"""Contestants that take turns, each in its own process, and a judge of their pictures."""
