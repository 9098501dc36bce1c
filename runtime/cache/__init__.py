"""What later runs and pictures use again: graphs and values on disk, and small caches in memory."""
