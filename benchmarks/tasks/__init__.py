"""The timed work: steps of an objective, and the fastest matrix products of a device."""
