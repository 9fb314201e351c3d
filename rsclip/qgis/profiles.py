"""QGIS's user profiles: where they are, and which plugins they switch on."""

import configparser
import os
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path

from rsclip.errors import OptionError
from rsclip.files import expand, is_forbidden, new_file

__all__ = ["PLUGIN", "Profile", "find_profiles"]

PLUGIN = "rsclip_qgis"
"""Name of the plugin's folder; not `rsclip`, which would hide the library in QGIS's Python."""

_SECTION = "[PythonPlugins]"
_DEFAULT = "default"


@dataclass(frozen=True, slots=True)
class Profile:
    """One profile of one QGIS.

    Attributes:
        folder: Folder of the profile, `<home>/profiles/<name>`.
    """

    folder: Path

    @property
    def name(self) -> str:
        """Name of the profile."""
        return self.folder.name

    @property
    def plugin(self) -> Path:
        """Folder of our plugin, which need not exist."""
        return self.folder / "python" / "plugins" / PLUGIN

    @property
    def enabled(self) -> bool:
        """Whether QGIS loads the plugin when it starts."""
        return all(f"{PLUGIN}=true" in _section(_read(path)) for path in self._settings)

    def enable(self, on: bool) -> None:
        """Switch the plugin on, or forget it.

        Raises:
            OSError: The settings of QGIS cannot be read or written.
        """
        for path in self._settings:
            _enable(path, on)

    @property
    def _settings(self) -> list[Path]:
        # <home>/profiles/<name>/QGIS/QGIS3.ini; a folder of the user's own may be of any QGIS.
        there = sorted(self.folder.glob("QGIS/QGIS[0-9].ini"))
        major = "4" if self.folder.parent.parent.name.endswith("4") else "3"
        return there or [self.folder / "QGIS" / f"QGIS{major}.ini"]


def _enable(path: Path, on: bool) -> None:
    lines = _read(path)
    own = [line for line in _section(lines) if line.startswith(f"{PLUGIN}=")]
    if own == [f"{PLUGIN}=true"] * on:
        return
    lines = [line for line in lines if line not in own]
    if on:
        if _SECTION not in lines:
            lines += ["", _SECTION] if lines else [_SECTION]
        lines.insert(lines.index(_SECTION) + 1, f"{PLUGIN}=true")
    path.parent.mkdir(parents=True, exist_ok=True)
    with new_file(path) as draft:
        draft.write_bytes("".join(f"{line}\n" for line in lines).encode("latin-1"))


def _read(path: Path) -> list[str]:
    try:
        # Latin-1 keeps every byte as it is.
        return path.read_bytes().decode("latin-1").splitlines()
    except FileNotFoundError:
        return []


def _section(lines: list[str]) -> list[str]:
    if _SECTION not in lines:
        return []
    rest = lines[lines.index(_SECTION) + 1 :]
    return rest[: next((i for i, line in enumerate(rest) if line.startswith("[")), len(rest))]


def find_profiles(name: str | None = None, home: str | None = None) -> list[Profile]:
    """Find the profiles that a plugin is meant for, one in each QGIS of the user.

    Args:
        name: Name of the profile; without it, the one that QGIS starts with.
        home: Folder that holds `profiles`; without it, those of QGIS 3 and 4 where they exist.

    Raises:
        OptionError: There is no such folder or profile.
    """
    if home is not None:
        homes = [expand(home)]
        if not homes[0].is_dir():
            raise OptionError("no such folder", where="--qgis-home", remedy="Check the path.")
        _refuse_parts_of_a_home(homes[0])
    else:
        homes = [path for path in _usual_homes() if not is_forbidden(path) and path.is_dir()]
        if not homes:
            raise OptionError(
                f"QGIS has no profile yet: {_usual_homes()[0]} does not exist or is another user's",
                remedy="Start QGIS once, or give the folder that holds its profiles: --qgis-home.",
            )
    found = [Profile(one / "profiles" / (name or _starts_with(one))) for one in homes]
    there = [profile for profile in found if profile.folder.is_dir()]
    plain = name is None or (Path(name).name == name and name != "..")
    if name is None or (there and plain):
        return there or found[:1]
    names = sorted(
        {path.name for one in homes for path in (one / "profiles").glob("*") if path.is_dir()}
    )
    raise OptionError(
        f"no profile {name!r} in {', '.join(map(str, homes))}",
        where="--profile",
        remedy=f"There is {', '.join(names)}." if names else "Start QGIS once.",
    )


def _refuse_parts_of_a_home(folder: Path) -> None:
    """Refuse `profiles` and a profile: QGIS would never see a plugin in there."""
    if (folder / "profiles").is_dir():
        return
    whole = folder.absolute()
    for home, rest in ((whole.parent, ""), (whole.parent.parent, f" `--profile {whole.name}`")):
        if home / "profiles" in (whole, whole.parent):
            above = shlex.quote(str(home))
            raise OptionError(
                f"{folder} is a profile of QGIS, or holds them",
                where="--qgis-home",
                remedy=f"Give the folder above `profiles`: `--qgis-home {above}`{rest}.",
            )


def _usual_homes() -> list[Path]:
    if sys.platform == "win32":
        base = expand(os.environ.get("APPDATA") or "~/AppData/Roaming")
    elif sys.platform == "darwin":
        base = expand("~/Library/Application Support")
    else:
        base = expand(os.environ.get("XDG_DATA_HOME") or "~/.local/share")
    return [base / "QGIS" / version for version in ("QGIS3", "QGIS4")]


def _starts_with(home: Path) -> str:
    """Return the name of the profile that QGIS starts with."""
    settings = configparser.ConfigParser(interpolation=None)
    try:
        settings.read(home / "profiles" / "profiles.ini", encoding="utf-8")
    except (configparser.Error, UnicodeDecodeError):
        return _DEFAULT
    name = settings.get("core", "defaultProfile", fallback="") or _DEFAULT
    return name if (home / "profiles" / name).is_dir() else _DEFAULT
