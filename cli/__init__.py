"""The command line: one file per command, no heavy import at the top."""
