"""`rsclip info`: a scene as rsclip sees it."""

import json
from typing import Any

import click

from rsclip.config import READ_OPTIONS
from rsclip_cli.exit_codes import guard
from rsclip_cli.options import (
    GroupedCommand,
    config_file_option,
    config_flags,
    gather_config,
    output_options,
)

__all__ = ["command"]


@click.command("info", cls=GroupedCommand)
@click.argument("scene", metavar="SCENE")
@config_file_option
@config_flags(*READ_OPTIONS)
@output_options
def command(
    scene: str, config_file: str | None, quiet: bool, verbose: bool, as_json: bool, **flags: Any
) -> None:
    """Describe SCENE: size, bands, CRS, valid pixels, stretch, windows, estimated memory.

    The options are those of `rsclip segment` that change what it says.
    """
    with guard(quiet=quiet, verbose=verbose):
        from rsclip.run.scene_report import describe_scene

        config = gather_config(config_file, flags)
        facts = describe_scene(scene, config)
        if as_json:
            click.echo(json.dumps(facts, indent=2, ensure_ascii=False))
            return
        for name, value in _lines(facts):
            click.echo(f"{name + ':':<14}{value}")


def _lines(facts: dict[str, Any]) -> list[tuple[str, str]]:
    height, width = facts["shape"]
    size = facts["pixel_size_m"]
    pixel = f"{size[1]:.4g} x {size[0]:.4g} m" if size else "unknown (no CRS)"
    share = facts["valid_share"]
    red, *others = facts["chosen_bands"]
    if facts["palette"]:
        chosen = f"{red}, the colours of its table"
    elif others == [red, red]:
        chosen = f"{red} as grey"
    else:
        chosen = f"{', '.join(map(str, (red, *others)))} as red, green, blue"
    working = facts["working_shape"]
    bands = f"{facts['bands']} band{'s' * (facts['bands'] != 1)}"
    lines = [
        ("scene", facts["scene"]),
        ("size", f"{width} x {height} pixels, {bands}, {facts['dtype']}"),
        ("CRS", _crs_name(facts["crs"])),
        ("pixel size", pixel),
        ("valid", f"{share:.1%} of sampled pixels ({facts['valid_source']})"),
        ("bands", chosen),
        ("stretch", facts["stretch"]),
        (
            "windows",
            f"{facts['tiles']} of {facts['window'][1]} x {facts['window'][0]} pixels, "
            f"stride {facts['stride'][1]} x {facts['stride'][0]}",
        ),
        ("memory", f"about {facts['memory_mb']} MB at 20 class words"),
    ]
    if tuple(working) != tuple(facts["shape"]):
        size = f"{working[1]} x {working[0]} pixels of {facts['gsd']:g} m"
        lines.insert(4, ("works at", size))
    return lines


def _crs_name(text: str | None) -> str:
    """Return a code such as EPSG:32633, or the name out of a WKT that has no code."""
    if not text:
        return "none"
    parts = text.split('"', 2)
    return f"{parts[1]} (no code)" if "[" in text and len(parts) == 3 else text
