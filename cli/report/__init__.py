"""Reports: the page of a batch, also live, and tables. Never writes to the ledger."""
