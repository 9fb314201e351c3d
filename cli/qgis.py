"""`rsclip qgis`: the plugin that brings rsclip into QGIS's toolbox."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from rsclip_cli.exit_codes import guard
from rsclip_cli.table import print_table

__all__ = ["command"]

_profile = click.option(
    "--profile", metavar="NAME", help="QGIS's user profile  [default: the one it starts with]."
)
_home = click.option(
    "--qgis-home",
    metavar="DIR",
    help="Folder that holds QGIS's profiles  [default: those of QGIS 3 and 4 of this user].",
)
_verbose = click.option(
    "--verbose", is_flag=True, help="Show details and, on an error, the traceback."
)


def _options(function: Callable[..., Any]) -> Callable[..., Any]:
    return _profile(_home(_verbose(function)))


@click.group("qgis")
def command() -> None:
    """Put rsclip into QGIS: algorithms in the Processing toolbox, and a panel.

    The plugin runs this rsclip as a process of its own. docs/qgis.md shows it.
    """


@command.command("install")
@_options
def install(profile: str | None, qgis_home: str | None, verbose: bool) -> None:
    """Install or update the plugin, and switch it on. Restart QGIS afterwards."""
    with guard(verbose=verbose):
        from rsclip.qgis import install, status
        from rsclip.qgis.profiles import find_profiles

        facts = _facts()
        for found in find_profiles(profile, qgis_home):
            install(found, facts)
            now = status(found)
            click.echo(f"{found.plugin}\n  version {now.version}, calls {now.executable}")


@command.command("uninstall")
@_options
def uninstall(profile: str | None, qgis_home: str | None, verbose: bool) -> None:
    """Remove the plugin."""
    with guard(verbose=verbose):
        from rsclip.qgis import uninstall
        from rsclip.qgis.profiles import find_profiles

        for found in find_profiles(profile, qgis_home):
            was = "removed" if uninstall(found) else "was not installed"
            click.echo(f"{found.plugin}: {was}")


@command.command("status")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
@_options
def status(profile: str | None, qgis_home: str | None, as_json: bool, verbose: bool) -> None:
    """Say where the plugin is, what it calls, and whether that works."""
    with guard(verbose=verbose):
        from rsclip.qgis import status
        from rsclip.qgis.profiles import find_profiles

        found = [status(each) for each in find_profiles(profile, qgis_home)]
        if as_json:
            shown = [item.to_dict() for item in found]
            click.echo(json.dumps(shown, indent=2, ensure_ascii=False))
            return
        rows = [
            (
                item.version or "not installed",
                "yes" if item.enabled else "no",
                item.executable or ("rsclip on the PATH" if item.version else ""),
                item.profile,
            )
            for item in found
        ]
        print_table(("plugin", "enabled", "calls", "profile"), rows)
        for item in found:
            if item.problem:
                click.echo(f"{item.profile}: {item.problem}", err=True)


@command.command("zip")
@click.option(
    "-o", "--output", metavar="FILE.zip", default="rsclip_qgis.zip", show_default=True,
    help="The file to write.",
)  # fmt: skip
@_verbose
def zip_(output: str, verbose: bool) -> None:
    """Write the plugin as a zip for QGIS's plugin manager ("Install from ZIP").

    On the machine where it is installed, it looks for rsclip on the PATH.
    """
    with guard(verbose=verbose):
        from rsclip.qgis import write_zip

        click.echo(write_zip(Path(output), _facts()))


def _facts() -> dict[str, Any]:
    """Return what the plugin knows of rsclip: commands with their help, class sets, models."""
    from rsclip.methods import method_names
    from rsclip.model.weights.catalog import list_models
    from rsclip.words.class_sets import describe_sets
    from rsclip_cli.main import cli

    # With its settings: commands keep the help option that they are first asked for.
    context = click.Context(cli, **cli.context_settings)
    commands = {}
    for name in cli.list_commands(context):
        found = cli.get_command(context, name)
        if isinstance(found, click.Group):
            commands |= {
                f"{name} {key}": _described(each, context) for key, each in found.commands.items()
            }
        elif found is not None:
            commands[name] = _described(found, context)
    return {
        "commands": commands,
        "choices": {
            "classes": [f"set:{item.name}" for item in describe_sets()],
            "method": list(method_names()),
            "model": ["auto", *(item.name for item in list_models(here=True))],
        },
    }


def _described(found: click.Command, parent: click.Context) -> dict[str, Any]:
    context = click.Context(found, parent=parent)
    facts = found.to_info_dict(context)
    options = [
        {
            "name": info["name"],
            "flag": info["opts"][-1] if param.param_type_name == "option" else None,
            "off": next(iter(info["secondary_opts"]), None),
            "type": info["type"]["name"],
            "choices": list(info["type"].get("choices", ())),
            "metavar": param.metavar,
            "required": info["required"],
            "default": info["default"] if type(info["default"]) in (int, float, str) else None,
            "multiple": info["multiple"],
            "help": info.get("help") or "",
        }
        for param, info in zip(found.get_params(context), facts["params"], strict=True)
        # Click names its own option differently from version to version.
        if "--help" not in info["opts"]
    ]
    return {"help": facts["help"], "options": options}
