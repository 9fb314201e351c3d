"""Sizes of memory, as people write them, and the share of a limit that a block may take."""

import re

from rsclip.errors import OptionError

__all__ = ["parse_size", "room_for_block"]

_UNITS = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}
_BLOCK_SHARE = 8


def parse_size(text: str) -> int:
    """Return the bytes that "2G", "1500M" or "2.5GB" stands for.

    Raises:
        OptionError: It is no size.
    """
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([KMGT]?)(?:I?B)?\s*", text.upper())
    if match is None or not float(match[1]):
        raise OptionError(
            f"{text!r} is no size", where="--max-memory", remedy="Examples: 2G, 1500M."
        )
    return int(float(match[1]) * _UNITS[match[2]])


def room_for_block(limit: str | None) -> int | None:
    """Return the bytes that a block may take under a limit; None without one.

    Raises:
        OptionError: The limit is no size.
    """
    return None if limit is None else parse_size(limit) // _BLOCK_SHARE
