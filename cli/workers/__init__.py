"""Worker processes: they paint the photos of one batch on several GPUs, or groups of cores."""
