"""Picture files to samples and back, and their metadata. Knows no picture but its samples."""
