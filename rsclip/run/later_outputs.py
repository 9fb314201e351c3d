"""Outputs that are asked for later: made from the finished mask, without the model."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rsclip.config import OUTPUT_OPTIONS, SHAPE_OPTIONS, SegmentConfig
from rsclip.outputs.companions import write_companions
from rsclip.outputs.files.staging import Staging
from rsclip.outputs.records.record import to_plain, write_record
from rsclip.run.resume import Decision, output_facts
from rsclip.scene.scene import Scene
from rsclip.scene.stretch import fit
from rsclip.words.legend import Legend

__all__ = ["add_outputs"]


@dataclass(frozen=True)
class _Places:
    """New outputs lie in the hidden folder, finished ones where they are."""

    staging: Staging
    folder: Path
    names: Mapping[str, str]
    new: Sequence[str]

    def path(self, key: str) -> Path:
        return self.staging.path(key) if key in self.new else self.folder / self.names[key]

    def scratch(self, name: str) -> Path:
        return self.staging.scratch(name)


def add_outputs(
    scene: Scene,
    folder: Path,
    names: Mapping[str, str],
    legend: Legend,
    config: SegmentConfig,
    decision: Decision,
    inputs: Sequence[str],
    warnings: Sequence[str],
) -> dict[str, Any]:
    """Add outputs to those of a finished run, and to its record.

    Args:
        scene: The open scene.
        folder: The output folder.
        names: Key -> file name of all that is asked for.
        legend: Classes.
        config: Settings.
        decision: Which outputs to make, and the record of the finished run.
        inputs: Files that no output may replace.
        warnings: What was said so far; read when all is written.

    Returns:
        The record as it is now.

    Raises:
        RunError: A read or a write failed; what was there stays.
    """
    new = decision.keys
    record = {**decision.record}
    made = {key: names[key] for key in new}
    with Staging(
        folder, {**made, "record": names["record"]}, overwrite=True, inputs=inputs, former=None
    ) as staging:
        places = _Places(staging, folder, names, new)
        record["outputs"] = _all_outputs(record["outputs"], names)
        chosen = to_plain(config.to_dict())
        before = record["settings"]
        record["settings"] = {
            **before,
            **{
                name: chosen[name] for name in OUTPUT_OPTIONS if chosen[name] not in (False, "none")
            },
            **({name: chosen[name] for name in SHAPE_OPTIONS} if "polygons" in new else {}),
        }
        # As the mask was made, by the model's own pixel size too.
        scene.work_at(before["gsd"])
        radiometry = fit(scene, config.stretch)
        record["warnings"] = list(dict.fromkeys([*record.get("warnings", ()), *warnings]))
        write_companions(
            places, names, folder, scene, radiometry, legend, record, config, only=new
        )  # fmt: skip
        record["warnings"] = list(dict.fromkeys([*record.get("warnings", ()), *warnings]))
        record["made"] = {
            **record.get("made", {}), **output_facts(staging.path(key) for key in new)
        }  # fmt: skip
        write_record(staging.path("record"), record)
        staging.publish()
    return record


def _all_outputs(before: Mapping[str, str], now: Mapping[str, str]) -> dict[str, str]:
    """Join two runs' outputs; files of another vector format keep a key of their own."""
    others = {
        f"{key}_{Path(name).suffix[1:]}": name
        for key, name in before.items()
        if key in now and now[key] != name
    }
    rest = {key: name for key, name in before.items() if key not in now}
    return {**others, **rest, **now}
