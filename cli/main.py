"""The `rsclip` command: a group whose commands load only when called."""

import importlib
import os
from typing import Any

import click

from rsclip import own_process
from rsclip.version import __version__
from rsclip_cli.streams import forgiving_streams

__all__ = ["cli", "main"]

_COMMANDS = {
    "adapt": "Learn from a few labels, to segment better with the same model.",
    "batch": "Segment folders and lists of scenes: jobs that finish.",
    "calibrate": "Fit biases, thresholds and scale to a few labels, into a class file.",
    "classes": "List the bundled class sets, or show one.",
    "compare": "Segment one scene by several methods, side by side.",
    "diagnose": "Study what a model's layers hold, and which of it segments best.",
    "distill": "Teach a smaller model to see as a large one does.",
    "evaluate": "Score a mask against labels: how good is the map?",
    "info": "Describe a scene as rsclip sees it.",
    "methods": "List the dense methods and their options.",
    "models": "List, fetch, describe and bundle models.",
    "polygonize": "Turn a mask into polygons.",
    "prompts": "Show how a model reads class words, and which are too close.",
    "sample": "Draw points of a mask to label, for accuracy and areas with intervals.",
    "qgis": "Put rsclip into QGIS: its toolbox and a panel.",
    "segment": "Segment scenes by class words into georeferenced masks.",
    "suggest": "Choose places to label next, where labels teach most.",
    "view": "Show a folder's results on one HTML page.",
}


class _LazyGroup(click.Group):
    """Import a command's module only when the command is used: `--help` loads no torch."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        module = importlib.import_module(f"{__package__}.{cmd_name}")
        command: click.Command = module.command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(sorted(_COMMANDS.items()))


@click.group("rsclip", cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="rsclip")
def cli() -> None:
    """Turn words into maps: segment GeoTIFFs of any size with a frozen CLIP.

    \b
    rsclip segment scene.tif --classes "building|house, road, water" -o out
    """


def main(**settings: Any) -> None:
    """Run the command line."""
    own_process.claim()
    forgiving_streams()
    # PROJ prints by itself what it cannot look up, such as a unit without a code, once for each
    # opening of such a file; what matters comes as an error. It looks here when it is loaded.
    os.environ.setdefault("PROJ_DEBUG", "0")
    cli.main(prog_name="rsclip", **settings)
