"""What is looked at on a GPU: probes, speed, and the same in PyTorch."""
