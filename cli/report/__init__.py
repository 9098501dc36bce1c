"""The page of a batch, and the server that shows it live. Never writes to the ledger."""
