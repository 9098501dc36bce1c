"""Exported networks on disk, read and checked; the built-in ones lie here. Opens no session."""
