"""What pictures of a size need of a network: a smallest side, memory, tiles. Knows no session."""
