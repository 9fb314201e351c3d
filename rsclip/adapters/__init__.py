"""Adapters: what few labels teach, kept beside a frozen model."""
