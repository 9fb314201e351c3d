"""One scene from words to finished files: checks, windows, threads, resume, record, dry run."""
