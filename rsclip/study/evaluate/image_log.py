"""Which images of an evaluation are done: a line for each, so that a killed one goes on."""

import contextlib
import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from rsclip.errors import warn
from rsclip.outputs.files.disk import write_error
from rsclip.outputs.records.record import to_plain
from rsclip.study.evaluate.set_report import check_set_outputs
from rsclip.study.evaluate.tally import Part
from rsclip.study.pairs import Pair

__all__ = ["LOG_NAME", "ImageLog"]

LOG_NAME = "evaluation_progress.jsonl"
"""Its name in the output folder."""


class ImageLog:
    """Counts of images that are done.

    Args:
        folder: Where the log lies; None: nothing is kept.
        request: What was asked for: counts of another request do not count.
        inputs: Files that no output may replace.
        resume: Go on from a log that is there; else it is replaced.
        overwrite: Outputs may be replaced.

    Attributes:
        overwrite: As given; True too where a log of the same request goes on: it may replace its
            own outputs.

    Raises:
        OutputError: An output exists, or is an input.
        WriteError: The log cannot be written.
    """

    def __init__(
        self,
        folder: str | Path | None,
        request: Mapping[str, Any],
        inputs: Iterable[str | Path] = (),
        *,
        resume: bool,
        overwrite: bool = False,
    ) -> None:
        self.overwrite = overwrite
        self._path = None if folder is None else Path(folder, LOG_NAME)
        self._lines: dict[tuple[Any, ...], dict[str, Any]] = {}
        if self._path is None:
            return
        text = json.dumps(to_plain(request), sort_keys=True, ensure_ascii=False)
        head = json.dumps({"request": hashlib.sha256(text.encode()).hexdigest()})
        found = self._path.read_text("utf-8").split("\n") if resume and self._path.exists() else []
        goes_on = bool(found) and found[0] == head
        self.overwrite |= goes_on
        check_set_outputs(self._path.parent, "", inputs, overwrite=self.overwrite)
        if goes_on:
            for line in found[1:]:
                # The last one may be cut short.
                with contextlib.suppress(ValueError, KeyError, TypeError):
                    entry = json.loads(line)
                    self._lines[tuple(entry["key"])] = entry["part"]
        elif found:
            warn(f"{self._path}: begun with other settings or classes: it starts over")
        kept = [json.dumps({"key": key, "part": part}) for key, part in self._lines.items()]
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._path.write_text("\n".join([head, *kept, ""]), "utf-8")
        except OSError as error:
            raise write_error(error, self._path) from error

    def find(self, trial: int, pair: Pair) -> Part | None:
        """Return the counts of an image whose files are what they were; None if it is not done."""
        if not self._lines:
            return None
        entry = self._lines.get(_key(trial, pair))
        return None if entry is None else Part.from_dict(entry)

    def add(self, trial: int, pair: Pair, part: Part) -> None:
        """Keep the counts of an image.

        Raises:
            WriteError: They cannot be written.
        """
        if self._path is None:
            return
        key = json.dumps(_key(trial, pair))
        try:
            with self._path.open("a", encoding="utf-8") as file:
                file.write(f'{{"key": {key}, "part": {part.to_json()}}}\n')
        except OSError as error:
            raise write_error(error, self._path) from error


def _key(trial: int, pair: Pair) -> tuple[Any, ...]:
    facts: list[Any] = [trial, pair.name]
    for path in (Path(pair.image), pair.labels):
        try:
            stat = path.stat()
            facts += [str(path), stat.st_size, stat.st_mtime_ns]
        except OSError:
            facts.append(str(path))
    return tuple(facts)
