"""The page of a batch: its data, its files, and the server that shows it live."""
