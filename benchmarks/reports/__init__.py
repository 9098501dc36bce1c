"""Reports of timings as tables, plots and JSON, and the comparison of two reports."""
