"""One file per command, and what the batch commands share. Imports numpy only in functions."""
