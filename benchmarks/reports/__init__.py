"""Reports of timings as tables, plots and JSON, and their comparison. Times nothing."""
