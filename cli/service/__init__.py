"""The HTTP service: uploads, a queue of jobs on disk, and the painters that work on it."""
