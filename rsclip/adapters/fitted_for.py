"""What an adapter's file says of itself, read without torch; what it was fitted for must be given.

The file is safetensors: tensors, and in its header the JSON text `rsclip_adapter`. Nothing in it
can run code.
"""

import hashlib
import json
import math
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rsclip.config import SegmentConfig, build_config
from rsclip.errors import AdapterError, OptionError
from rsclip.files import expand
from rsclip.method_files import refuse_code
from rsclip.words.legend import Legend
from rsclip.words.prompts import template_file

__all__ = ["CARRIED", "KEY", "VERSION", "Header", "adapter_layer", "read_header"]

KEY = "rsclip_adapter"
VERSION = 1
CARRIED = (
    "model", "templates", "method", "method_option", "window", "stride", "overlap", "blend",
    "synonyms", "decorrelate", "logit_scale", "gsd", "bidx", "stretch",
)  # fmt: skip
"""What an adapter passes on to `segment`, unless the user says otherwise."""
_ANEW = "Fit it again with `rsclip adapt`."


@dataclass(frozen=True)
class Header:
    """What an adapter was fitted for.

    Attributes:
        path: Its file.
        sha256: Of the file.
        kind: Name of its kind; "none" where the model was better without.
        legend: Classes.
        model: The model's `name` and `weights_sha256`.
        method: The dense method.
        method_options: All of the method's options.
        settings: Of the fields `CARRIED`, those that it was fitted with, weaker than what a user
            says.
        pixel_size: Smallest and largest pixel size in metres of its scenes; None if unknown.
        report: Scores of its cross-validation.
    """

    path: Path
    sha256: str
    kind: str
    legend: Legend
    model: Mapping[str, Any]
    method: str
    method_options: Mapping[str, Any]
    settings: Mapping[str, Any]
    pixel_size: tuple[float, float] | None
    report: Mapping[str, Any]

    def check(
        self, legend: Legend, config: SegmentConfig, options: Mapping[str, Any], sha256: str
    ) -> None:
        """Refuse what the adapter was not fitted for.

        Args:
            legend: Classes that are asked for.
            config: Settings that are asked for.
            options: All of the method's options.
            sha256: Of the model's weights.

        Raises:
            AdapterError: Something differs; the message names both.
        """
        self.check_classes(legend)
        if sha256 != self.model["weights_sha256"]:
            fitted = f"{self.model['name']} ({self.model['weights_sha256'][:12]})"
            given = f"one of other weights ({sha256[:12]})"
            raise self._other("the model", fitted, given)
        for name in ("templates", "synonyms", "decorrelate"):
            given = getattr(config, name)
            fitted = self.settings.get(name, getattr(SegmentConfig(), name))
            if given != fitted:
                raise self._other(f"the {name}", f"{fitted}", f"{given}")
        if config.method != self.method:
            raise self._other("the method", self.method, config.method)
        if dict(options) != dict(self.method_options):
            differ = [name for name in options if options[name] != self.method_options.get(name)]
            fitted, given = (
                ", ".join(f"{name}={each.get(name)}" for name in differ)
                for each in (self.method_options, options)
            )
            raise self._other("the method with", fitted, given)

    def check_classes(self, legend: Legend) -> None:
        """Refuse other classes, words or biases; colours and thresholds may be others.

        Raises:
            AdapterError: They differ.
        """
        if _words(legend) != _words(self.legend):
            mine, theirs = (
                ", ".join(item.name for item in each.foreground) for each in (self.legend, legend)
            )
            if mine == theirs:
                theirs += " with other words or another background"
            raise self._other("the classes", mine, theirs)

    def _other(self, what: str, fitted: str, given: str) -> AdapterError:
        return AdapterError(
            f"it was fitted for {what} {fitted}, not for {given}",
            where=self.path,
            remedy="The adapter brings its own: leave out yours, or fit another adapter.",
        )


def read_header(path: str | Path) -> Header:
    """Read what an adapter says of itself.

    Raises:
        AdapterError: There is no such file, it is damaged, or it is no adapter.
    """
    from safetensors import SafetensorError, safe_open

    path = expand(path)
    if not path.is_file():
        what = "a folder, no adapter" if path.is_dir() else "no such adapter"
        raise AdapterError(what, where=path, remedy="Check the path of --adapter.")
    try:
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        with safe_open(path, framework="np") as file:
            text = (file.metadata() or {}).get(KEY)
    except PermissionError:
        raise
    except (SafetensorError, OSError, ValueError) as error:
        raise damaged(path, str(error)) from error
    if text is None:
        raise AdapterError("no adapter of rsclip", where=path, remedy=_ANEW)
    try:
        facts = json.loads(text)
        version = facts["version"]
        if version != VERSION:
            raise AdapterError(
                f"an adapter of version {version}; this rsclip reads version {VERSION}",
                where=path,
                remedy=_ANEW,
            )
        return Header(
            path,
            digest,
            str(facts["kind"]),
            Legend.from_dict(facts["legend"]),
            {name: str(facts["model"][name]) for name in ("name", "weights_sha256")},
            str(facts["method"]),
            dict(facts["method_options"]),
            _settings(facts["settings"]),
            _pixel_size(facts["pixel_size"]),
            dict(facts["report"]),
        )
    except AdapterError:
        raise
    except Exception as error:
        # JSON of another form: whatever it holds, it was not written by rsclip.
        raise damaged(path, str(error) or type(error).__name__) from error


def adapter_layer(*layers: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of the adapter that layers of options name; empty without one.

    They are weaker than all layers: what a user says outright counts, and is refused where the
    adapter was fitted otherwise.

    Raises:
        AdapterError: See `read_header`.
        OptionError: It would run a Python file, or read a file of templates, that the user has not
            named.
    """
    path = next((layer["adapter"] for layer in reversed(layers) if layer.get("adapter")), None)
    if path is None:
        return {}
    settings = refuse_code(read_header(path).settings, path, *layers)
    templates = settings.get("templates")
    outright = any(layer.get("templates") is not None for layer in layers)
    if templates is not None and not outright and template_file(templates) is not None:
        raise OptionError(
            f"it names a file of templates, {templates!r}, which would be read",
            where=path,
            remedy=f"If you trust it, name it yourself: --templates={shlex.quote(templates)}.",
        )
    return dict(settings)


def damaged(path: Path, why: str) -> AdapterError:
    """Return the error of a file that is no whole adapter."""
    return AdapterError(
        f"the adapter is damaged ({' '.join(why.split())[:200]})", where=path, remedy=_ANEW
    )


def _settings(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings that an adapter may carry, in their range."""
    if foreign := [str(name) for name in given if name not in CARRIED]:
        raise ValueError(f"no adapter carries {', '.join(foreign)}")
    build_config(given)
    return dict(given)


def _pixel_size(given: Sequence[Any] | None) -> tuple[float, float] | None:
    if given is None:
        return None
    low, high = (float(size) for size in given)
    if not 0 < low <= high < math.inf:
        raise ValueError(f"pixel_size {given}")
    return low, high


def _words(legend: Legend) -> list[tuple[Any, ...]]:
    return [
        (item.name, item.words, item.descriptions, item.negatives, item.background, item.bias)
        for item in legend.classes
    ]
