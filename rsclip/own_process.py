"""Whether this process is rsclip's own, its command line or a worker, and nobody else's program.

Only there libraries are imported in part, to start sooner: in a program that uses rsclip, other
code and other threads import the same libraries, and must find them whole.
"""

__all__ = ["claim", "is_own"]

_own = False


def claim() -> None:
    """Say that this process runs nothing but rsclip."""
    global _own
    _own = True


def is_own() -> bool:
    """Say whether `claim` was called."""
    return _own
