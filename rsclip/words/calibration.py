"""What a class file says of all its classes together, as `rsclip calibrate` writes it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from rsclip.config import SegmentConfig
from rsclip.errors import warn
from rsclip.words.class_fields import read_number, refuse

__all__ = ["CALIBRATION_KEYS", "Calibration"]

CALIBRATION_KEYS = ("logit_scale", "gsd", "calibrated_for")
_MADE_FOR = ("model", "weights_sha256", "method")


@dataclass(frozen=True, slots=True)
class Calibration:
    """Numbers that hold for all classes of a file; None where it says nothing.

    Attributes:
        logit_scale: Factor from similarity to logits, unless the user says another one.
        gsd: Pixel size in metres to work at, likewise.
        model, weights_sha256, method: What biases and scale were fitted for.
    """

    logit_scale: float | None = None
    gsd: float | None = None
    model: str | None = None
    weights_sha256: str | None = None
    method: str | None = None

    @classmethod
    def read(cls, content: Mapping[str, Any], where: str) -> Self:
        """Read it from the keys of a class file, or of a run record.

        Raises:
            LegendError: A value does not fit.
        """
        found: dict[str, Any] = {
            key: read_number(content[key], key, where, 1e-6, 1e6)
            for key in ("logit_scale", "gsd")
            if content.get(key) is not None
        }
        made_for = content.get("calibrated_for") or {}
        if not isinstance(made_for, Mapping) or not {*made_for} <= {*_MADE_FOR}:
            refuse(made_for, "calibrated_for", where, f"It has the keys {', '.join(_MADE_FOR)}.")
        found |= {key: str(value) for key, value in made_for.items()}
        return cls(**found)

    def to_dict(self) -> dict[str, Any]:
        """Return the keys of a class file; none of what it does not say."""
        made_for = {key: getattr(self, key) for key in _MADE_FOR if getattr(self, key) is not None}
        found = {"logit_scale": self.logit_scale, "gsd": self.gsd, "calibrated_for": made_for}
        return {key: value for key, value in found.items() if value}

    def fill(self, settings: SegmentConfig) -> SegmentConfig:
        """Return settings with its numbers where the user gives none."""
        own = {"logit_scale": self.logit_scale, "gsd": self.gsd}
        return settings.replace(
            **{name: value for name, value in own.items() if getattr(settings, name) is None}
        )

    def check(self, weights_sha256: str, method: str) -> None:
        """Warn where the model or method is another than the one that it was fitted for."""
        model_differs = self.weights_sha256 not in (None, weights_sha256)
        if model_differs or self.method not in (None, method):
            what = " and ".join(filter(None, (self.model, self.method)))
            warn(
                f"the class file was calibrated for {what}: with another model or method its "
                "biases are wrong (`rsclip calibrate` fits them again)"
            )
