"""Bundled class sets, prompt templates and word lists (YAML and text files)."""
