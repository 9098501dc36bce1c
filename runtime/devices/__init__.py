"""What can compute on this machine, and what each provider is told. Opens no session."""
