"""Reads picture files to pixels and writes them back. Knows no network."""
