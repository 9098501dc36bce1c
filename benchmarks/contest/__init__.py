"""Contestants in processes of their own that take turns, and a judge of what they made."""
