"""Weights of a CLIP: named, found, fetched, read, identified, bundled."""
