"""Rules of evidence on a scene: its bands read beside the image, a logit for each class."""

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from rsclip.config import SegmentConfig
from rsclip.errors import OptionError, SceneError, warn
from rsclip.labelling.labeller import ClassEvidence
from rsclip.run.scenes_and_classes import open_scene
from rsclip.scene.other_raster import RasterBeside
from rsclip.scene.scene import Scene
from rsclip.types import FloatArray, Window
from rsclip.words.evidence_choice import is_bundled
from rsclip.words.evidence_rules import Rule, parse_rules
from rsclip.words.legend import Legend

__all__ = ["BandEvidence"]

_WHOLE = 0.995


@dataclass(frozen=True)
class BandEvidence:
    """The rules that a scene can answer.

    Attributes:
        rules: By position in `legend.classes`; classes without a rule are left out.
        bands: 1-based bands of the scene that the rules need, by name.
        rasters: Other rasters that they need, by name.
        lacking: Names of bands for want of which bundled rules are left out.
    """

    rules: Mapping[int, tuple[Rule, ...]]
    bands: Mapping[str, int]
    rasters: Mapping[str, str]
    lacking: tuple[str, ...] = ()

    @classmethod
    def of(cls, scene: Scene, legend: Legend, config: SegmentConfig) -> Self:
        """Return a scene's rules.

        Bundled ones (`evidence="auto"`) whose bands the scene has not are left out.

        Raises:
            OptionError: `bands` is wrong, or a rule needs a band that the scene has not.
        """
        known = {**scene.band_names, **_given(config.bands, scene)}
        beside = {name.lower(): path for name, path in config.rasters.items()}
        names = known.keys() | beside.keys()
        rules: dict[int, tuple[Rule, ...]] = {}
        lacking: dict[str, None] = {}
        for position, item in enumerate(legend.classes):
            for text in item.evidence:
                choice = parse_rules(text, f"class {item.name!r}")
                usable = next((rule for rule in choice if rule.bands <= names), None)
                if usable is not None:
                    rules[position] = (*rules.get(position, ()), usable)
                    continue
                absent = sorted(choice[-1].bands - names)
                if config.evidence != "auto" or not is_bundled(item):
                    raise OptionError(
                        f"the rule {text!r} of {item.name!r} needs {' and '.join(absent)}, which "
                        f"{scene.source} does not name",
                        where="--evidence",
                        remedy=f"Say which band it is (--bands={absent[0]}=N, N from 1 to "
                        f"{scene.band_count}), give a raster (--rasters={absent[0]}=FILE), or "
                        "leave the rules out (--evidence=none).",
                    )
                lacking |= dict.fromkeys(absent)
        needed = sorted({name for each in rules.values() for rule in each for name in rule.bands})
        return cls(
            rules,
            {name: known[name] for name in needed if name not in beside},
            {name: beside[name] for name in needed if name in beside},
            tuple(lacking),
        )

    @classmethod
    def check(cls, scene: Scene, legend: Legend, config: SegmentConfig) -> None:
        """Raise what `of` raises, and warn of what it leaves out."""
        found = cls.of(scene, legend, config)
        for name in config.rasters:
            if name.lower() not in found.rasters:
                warn(f"no class has a rule on {name}: the raster counts for nothing")
        for name, path in found.rasters.items():
            with RasterBeside(path, scene) as raster:
                if not raster.touches():
                    raise SceneError(
                        f"no value of it lies on {scene.source}", where=path,
                        remedy=f"Choose another raster for --rasters={name}=FILE.",
                    )  # fmt: skip
        if found.lacking:
            warn(
                f"{scene.source}: no band is known as {' or '.join(found.lacking)}: bundled rules "
                "that need it are left out (--bands names bands)"
            )
        elif found.rules and config.evidence == "auto" and scene.dtype == "uint8":
            warn(
                f"{scene.source}: the bundled rules are made for reflectance, and 8-bit pixels "
                "seldom are: compare with --evidence=none"
            )

    def warn_of_gaps(self, scene: Scene) -> None:
        """Say how much of a scene the other rasters have values for, if it is not all of it."""
        for path in self.rasters.values():
            with RasterBeside(path, scene) as raster:
                share = raster.share()
            if share < _WHOLE:
                warn(
                    f"{path} has values for {share:.0%} of {scene.source}: elsewhere the words "
                    "decide alone"
                )

    def to_dict(self, legend: Legend) -> dict[str, Any]:
        """Return the bands and the rules by class, ready for JSON."""
        texts = {
            legend.classes[position].name: [rule.text for rule in rules]
            for position, rules in self.rules.items()
        }
        return {"bands": dict(self.bands), "rasters": dict(self.rasters), "rules": texts}

    def reader(
        self, scene: Scene, config: SegmentConfig, stack: contextlib.ExitStack
    ) -> Callable[[Window], ClassEvidence]:
        """Open the bands for the calling thread; they are closed with `stack`.

        Returns:
            A function from a window of the scene's own grid to the evidence of each class there.
        """
        names = list(self.bands)
        opened = []
        for first in range(0, len(names), 3):
            three = [*names[first : first + 3], *names[first : first + 1] * 2][:3]
            chosen = config.replace(bidx=tuple(self.bands[name] for name in three), aoi=None)
            opened.append((three, stack.enter_context(open_scene(scene.source, chosen))))

        beside = {
            name: stack.enter_context(RasterBeside(path, scene))
            for name, path in self.rasters.items()
        }

        def read(window: Window) -> ClassEvidence:
            values: dict[str, FloatArray] = {}
            for three, one in opened:
                pixels, valid = one.read_own(window)
                for name, band in zip(three, pixels, strict=True):
                    values[name] = np.where(valid, band, np.nan).astype(np.float32)
            values |= {name: raster.read(window) for name, raster in beside.items()}

            def of_class(position: int) -> FloatArray | None:
                rules = self.rules.get(position)
                if rules is None:
                    return None
                parts = [rule.evidence(values) for rule in rules]
                total: FloatArray = np.sum(parts, axis=0, dtype=np.float32)
                return total

            return of_class

        return read


def _given(text: str | None, scene: Scene) -> dict[str, int]:
    """Read "nir=4,swir=6"."""
    found: dict[str, int] = {}
    for part in (text or "").split(","):
        if not part.strip():
            continue
        name, _, number = (each.strip().lower() for each in part.partition("="))
        if not (name.isidentifier() and number.isdecimal()):
            raise OptionError(
                f"{part.strip()!r} is no band by name", where="--bands",
                remedy="Give names and numbers, such as nir=4,swir=6.",
            )  # fmt: skip
        if not 1 <= int(number) <= scene.band_count:
            raise OptionError(
                f"{scene.source} has no band {number}", where="--bands",
                remedy=f"Give bands from 1 to {scene.band_count}.",
            )  # fmt: skip
        found[name] = int(number)
    return found
