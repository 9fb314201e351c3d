"""Frozen open_clip models: found by name, loaded from files, wrapped for dense use."""

__all__: list[str] = []
