"""The tiles of pictures larger than memory, and what each takes. Knows no session and no device."""
