"""What people read in a terminal. Writes no files."""
