"""Layouts of queries for tests."""

from rsclip.words.class_scores import Layout


def plain(owners, **own):
    """Queries by the position of their class; none is negative."""
    classes = range(max(owners) + 1)
    words = tuple(tuple(at for at, own in enumerate(owners) if own == each) for each in classes)
    rest = {"negatives": ((),) * len(words), "bias": (0.0,) * len(words), **own}
    return Layout(words, **rest)
