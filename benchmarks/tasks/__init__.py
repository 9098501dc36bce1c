"""What is timed: steps of an objective, and what the processor can multiply at most."""
