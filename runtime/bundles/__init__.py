"""Reads and checks exported networks on disk; holds the built-in ones. Opens no session."""
