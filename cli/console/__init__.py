"""The output in a terminal. Writes no files."""
