"""Options shared by commands, made from the configuration's own fields."""

import dataclasses
import types
import typing
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import click

from rsclip.config import SegmentConfig, build_config, read_config_file
from rsclip.method_files import refuse_code
from rsclip_cli.completion import completer

__all__ = [
    "GROUPS",
    "GroupedCommand",
    "config_file_option",
    "config_flags",
    "config_options",
    "gather_config",
    "given_layers",
    "list_option",
    "output_options",
    "progress_option",
    "sweep_options",
]

GROUPS: Mapping[str, tuple[str, ...]] = {
    "Model and words": (
        "model", "weights", "method", "method_option", "affinity", "adapter", "templates",
        "background", "device", "precision", "engine", "batch_size", "max_memory",
    ),
    "Reading the scene": ("aoi", "gsd", "bidx", "stretch", "nodata", "on_read_error"),
    "Windows": ("window", "stride", "overlap", "preset", "blend", "tta"),
    "Labels": (
        "synonyms", "decorrelate", "logit_scale", "score", "threshold", "area_threshold",
        "upsample", "refine", "evidence", "bands", "rasters", "sieve", "resample_output",
    ),
    "Polygons": ("vector_format", "simplify", "smooth", "orthogonal", "min_area"),
    "Further outputs": (
        "confidence", "margin", "probabilities", "areas", "sld", "qgis_project", "preview", "stac",
    ),
    "Outputs that exist": ("overwrite", "resume", "checksum"),
}  # fmt: skip
"""Heading in `--help` -> the fields of `SegmentConfig` below it; each field stands once."""


class GroupedCommand(click.Command):
    """A command whose `--help` shows its options under headings."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the command's own options first, then each group."""
        headings = {name: heading for heading, names in GROUPS.items() for name in names}
        found: dict[str, list[tuple[str, str]]] = {}
        for param in self.get_params(ctx):
            record = param.get_help_record(ctx)
            if record is not None and isinstance(param, click.Option):
                found.setdefault(headings.get(param.name or "", "Options"), []).append(record)
        for heading in ("Options", *GROUPS):
            if heading in found:
                with formatter.section(heading):
                    formatter.write_dl(found[heading])


_OPTIONS_HINT = " `rsclip methods NAME` lists a method's options."
F = typing.TypeVar("F", bound=Callable[..., Any])


def config_options(function: F, defaults: Mapping[str, Any] = MappingProxyType({})) -> F:
    """Add one flag per field of `SegmentConfig`, and --config; all default to "not given".

    Args:
        function: The command.
        defaults: What a command sets otherwise than `SegmentConfig` does.
    """
    hints = typing.get_type_hints(SegmentConfig)
    for item in reversed(dataclasses.fields(SegmentConfig)):
        function = _flag(item, hints[item.name], defaults.get(item.name, item.default))(function)
    return config_file_option(function)


def config_file_option(function: F) -> F:
    """Add --config."""
    return click.option(
        "--config", "config_file", metavar="FILE.yaml", help="Options from a YAML file; flags win."
    )(function)


def config_flags(*names: str) -> Callable[[F], F]:
    """Return a decorator that adds the flags of some fields of `SegmentConfig` only."""
    hints = typing.get_type_hints(SegmentConfig)
    fields = {item.name: item for item in dataclasses.fields(SegmentConfig)}

    def add(function: F) -> F:
        for name in reversed(names):
            function = _flag(fields[name], hints[name], fields[name].default)(function)
        return function

    return add


def sweep_options(function: F) -> F:
    """Add lists of pixel sizes, thresholds and word variants that are tried beside one another."""
    for name, metavar, text in (
        ("--words", "WORDS,...", "Words to try: given, first (of each class alone), tuned (of a "
         "set or a class file)."),
        ("--thresholds", "SCORE,...", "Thresholds to try, each 0 to 1."),
        ("--gsd", "METRES,...", "Pixel sizes to try."),
    ):  # fmt: skip
        function = list_option(name, metavar, text)(function)
    return function


def list_option(name: str, metavar: str, text: str) -> Callable[[F], F]:
    """Return a decorator that adds an option of several values, numbers but for --words."""
    callback = _listed if name == "--words" else _numbers
    return click.option(name, metavar=metavar, default=None, callback=callback, help=text)


def _listed(_ctx: click.Context, _param: click.Parameter, value: str | None) -> tuple[str, ...]:
    return tuple(part.strip() for part in (value or "").split(",") if part.strip())


def _numbers(ctx: click.Context, param: click.Parameter, value: str | None) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in _listed(ctx, param, value))
    except ValueError as error:
        raise click.BadParameter(
            f"{value!r} is not a list of numbers such as 0.3,0.5,1."
        ) from error


def output_options(function: F) -> F:
    """Add --quiet, --verbose and --json."""
    for names, text in (
        (("--json", "as_json"), "Print the result as JSON."),
        (("--verbose",), "Show details and, on an error, the traceback."),
        (("--quiet",), "Print errors only."),
    ):
        function = click.option(*names, is_flag=True, help=text)(function)
    return function


def progress_option(function: F) -> F:
    """Add --progress."""
    return click.option(
        "--progress",
        type=click.Choice(["text", "json"]),
        default="text",
        show_default=True,
        help="json: one JSON object a line on standard error, for other programs (docs/batch.md).",
    )(function)


def gather_config(
    config_file: str | None,
    flags: dict[str, Any],
    defaults: Mapping[str, Any] = MappingProxyType({}),
) -> SegmentConfig:
    """Merge a command's defaults, a configuration file and the flags that were given.

    Raises:
        OptionError: A bad key or value in either.
        AdapterError: The adapter that they name cannot be read.
    """
    from rsclip.adapters.fitted_for import adapter_layer

    given = given_layers(config_file, flags)
    refuse_code(defaults, "the record of the run", *given)
    return build_config(defaults, adapter_layer(*given), *given)


def given_layers(config_file: str | None, flags: dict[str, Any]) -> tuple[dict[str, Any], ...]:
    """Return what a configuration file and flags say outright, the weaker first.

    Raises:
        OptionError: A bad key or value in the file, or it would run code.
    """
    layer = {name: value for name, value in flags.items() if value not in (None, ())}
    if not config_file:
        return {}, layer
    file = read_config_file(config_file)
    refuse_code(file, config_file, layer)
    return file, layer


def _flag(item: "dataclasses.Field[Any]", kind: Any, default: Any) -> Callable[[F], F]:
    name = "--" + item.name.replace("_", "-")
    text = item.metadata["help"]
    default = None if default is dataclasses.MISSING else default
    if default is not None and not isinstance(default, bool):
        text += (
            f"  [default: {default:g}]" if isinstance(default, float) else f"  [default: {default}]"
        )
    if typing.get_origin(kind) in (types.UnionType, typing.Union):
        kind = next(part for part in typing.get_args(kind) if part is not type(None))
    settings: dict[str, Any] = {"help": text, "default": None}
    if complete := completer(item.name):
        settings["shell_complete"] = complete
    if kind is bool and default:
        return click.option(f"{name}/--no-{name[2:]}", **settings)
    if kind is bool:
        return click.option(name, is_flag=True, **settings)
    settings["metavar"] = item.metadata["metavar"]
    if item.name == "bidx":
        settings["callback"] = _bands
    elif typing.get_origin(kind) is Mapping:
        settings.update(multiple=True, callback=_pairs)
    elif typing.get_origin(kind) is typing.Literal:
        settings["type"] = click.Choice(typing.get_args(kind))
    elif typing.get_origin(kind) is tuple:
        settings["type"] = str
    else:
        settings["type"] = kind
    # "with" says it best, but is no name in Python.
    names = (name, "--with") if item.name == "rasters" else (name,)
    return click.option(*names, item.name, **settings)


def _bands(
    _ctx: click.Context, _param: click.Parameter, value: str | None
) -> tuple[int, ...] | None:
    if value is None:
        return None
    try:
        return tuple(int(part) for part in value.split(","))
    except ValueError as error:
        raise click.BadParameter(f"{value!r} is not a list of bands such as 4,1,2.") from error


def _pairs(
    _ctx: click.Context, param: click.Parameter, value: tuple[str, ...]
) -> dict[str, str] | None:
    pairs = {}
    for part in value:
        name, sign, text = part.partition("=")
        if not sign or not name:
            hint = "" if param.name != "method_option" else _OPTIONS_HINT
            raise click.BadParameter(f"{part!r} is not {param.metavar}.{hint}")
        if name.strip() in pairs:
            raise click.BadParameter(f"{name.strip()!r} stands twice.")
        pairs[name.strip()] = text.strip()
    return pairs or None
