"""Text in pictures, in any script that a font at hand can write.

Noto Sans comes with rsclip (fontpkg-noto-sans): Latin, Greek, Cyrillic. For other scripts the
system's fonts are looked through, and where none has the letters, the caller's plain words stand
in: never a row of empty boxes.
"""

import importlib.util
import re
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from PIL import ImageFont

from rsclip.files import expand

__all__ = ["Font", "font_for", "legible", "shortened", "wrapped"]

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont

_OWN = ("fontpkg_noto_sans", "files", "NotoSans[wdth,wght].ttf")
_FOLDERS = {
    "win32": ["C:/Windows/Fonts"],
    "darwin": ["/System/Library/Fonts", "/Library/Fonts", "~/Library/Fonts"],
}
_UNIX_FOLDERS = ["/usr/share/fonts", "/usr/local/share/fonts", "~/.local/share/fonts", "~/.fonts"]
# Fonts of many scripts come first; then any plain one. Bold, italic and symbols are passed over.
_WIDE = ("notosans-regular", "dejavusans.", "notosanscjk", "arial unicode", "arialuni", "unifont")
_PASSED_OVER = ("bold", "italic", "oblique", "mono", "serif", "black", "thin", "light", "symbol")
_SUFFIXES = {".ttf", ".otf", ".ttc"}
# Unassigned: every font draws its own box for it.
_NOWHERE = "\U0010fffe"


@cache
def font_for(text: str, size: int) -> Font:
    """Return a font that has all letters of a text, or the nearest to it if there is none."""
    found = _font_of("".join(sorted(set(text))))
    path = found or _own_font()
    # Pillow's own has ASCII letters only.
    return ImageFont.truetype(path, size) if path else ImageFont.load_default(size)


def legible(text: str, instead: str) -> str:
    """Return a text if a font can write it, else what stands in for it (ASCII)."""
    return text if text.isascii() or _font_of("".join(sorted(set(text)))) else instead


def shortened(text: str, size: int, width: float) -> str:
    """Return a text as long as fits a width in pixels, with an ellipsis if it had to be cut."""
    while len(text) > 2 and font_for(text, size).getlength(text) > width:
        text = text[:-2] + "…"
    return text


def wrapped(text: str, size: int, width: float, most: int) -> list[str]:
    """Return a text in lines that fit a width in pixels, the last one shortened if need be.

    Args:
        text: Broken at spaces and after colons.
        size: Of the letters, pixels.
        width: Of a line.
        most: Lines, at most.
    """
    font = font_for(text, size)
    pieces = re.findall(r"[^\s:]*:|[^\s:]+\s*|\s+", text)
    lines = [""]
    for index, piece in enumerate(pieces):
        if not lines[-1] or font.getlength(f"{lines[-1]}{piece}".rstrip()) <= width:
            lines[-1] += piece
        elif len(lines) < most:
            lines.append(piece)
        else:
            lines[-1] += "".join(pieces[index:])
            break
    return [shortened(line.strip(), size, width) for line in lines]


@cache
def _own_font() -> str | None:
    """Return the path of the font that comes with rsclip; None where it was left out."""
    spec = importlib.util.find_spec(_OWN[0])
    if spec is None or spec.origin is None:
        return None
    path = Path(spec.origin).parent.joinpath(*_OWN[1:])
    return str(path) if path.is_file() else None


@cache
def _font_of(letters: str) -> str | None:
    own = _own_font()
    for path in ([own] if own else []) + _candidates():
        try:
            font = ImageFont.truetype(path, 20)
        except OSError:
            continue
        if _has(font, letters):
            return path
    return None


def _has(font: Font, letters: str) -> bool:
    """Say whether a font has all letters: a missing one is drawn as the box of no letter."""
    nothing = bytes(font.getmask(_NOWHERE))
    for letter in set(letters):
        if letter.isspace() or not letter.isprintable():
            continue
        try:
            drawn = bytes(font.getmask(letter))
        except (UnicodeEncodeError, OSError):
            return False
        if drawn == nothing or (not drawn and letter.isalnum()):
            return False
    return True


@cache
def _candidates() -> list[str]:
    def rank(path: Path) -> tuple[int, str]:
        name = path.name.lower()
        wide = next((i for i, start in enumerate(_WIDE) if name.startswith(start)), len(_WIDE))
        return wide, str(path)

    return [str(path) for path in sorted(_files(), key=rank)]


def _files() -> Iterator[Path]:
    for folder in _FOLDERS.get(sys.platform, _UNIX_FOLDERS):
        root = expand(folder)
        if root.is_dir():
            for path in root.rglob("*"):
                name = path.name.lower()
                if path.suffix.lower() in _SUFFIXES and not any(
                    part in name for part in _PASSED_OVER
                ):
                    yield path
