"""Text in pictures, in any script that a font at hand can write.

Pillow brings a font of Latin letters. For other scripts the system's fonts are looked through, and
where none has the letters, the caller's plain words stand in: never a row of empty boxes.
"""

import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from PIL import ImageFont

__all__ = ["Font", "font_for", "legible"]

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont

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


def font_for(text: str, size: int) -> Font:
    """Return a font that has all letters of a text, or Pillow's own if there is none."""
    built_in = ImageFont.load_default(size)
    if _has(built_in, text):
        return built_in
    found = _system_font("".join(sorted(set(text))))
    return ImageFont.truetype(found, size) if found else built_in


def legible(text: str, instead: str) -> str:
    """Return a text if a font can write it, else what stands in for it (ASCII)."""
    plain = _has(ImageFont.load_default(20), text)
    return text if plain or _system_font("".join(sorted(set(text)))) else instead


@cache
def _system_font(letters: str) -> str | None:
    for path in _candidates():
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
        root = Path(folder).expanduser()
        if root.is_dir():
            for path in root.rglob("*"):
                name = path.name.lower()
                if path.suffix.lower() in _SUFFIXES and not any(
                    part in name for part in _PASSED_OVER
                ):
                    yield path
