"""Files to pixels and back. Knows no network."""
