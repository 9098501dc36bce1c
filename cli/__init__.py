"""The command line: one file per verb, and the batch they share. Never imports torch itself."""
