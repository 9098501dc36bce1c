"""Timings as tables, pictures and JSON, and the comparison of two reports."""
