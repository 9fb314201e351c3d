"""`rsclip models`: list them, fetch one (nothing else downloads), describe, carry or export one."""

import json
import shlex
from typing import Any

import click

from rsclip_cli.exit_codes import guard
from rsclip_cli.options import config_flags, gather_config
from rsclip_cli.progress import DownloadLines
from rsclip_cli.table import print_table

__all__ = ["command"]

_verbose = click.option(
    "--verbose", is_flag=True, help="Show details and, on an error, the traceback."
)
_json = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
_weights = click.option(
    "--weights", metavar="FILE", help="Bundle, safetensors or state dict in place of its own."
)


@click.group("models")
def command() -> None:
    """Models: list them, fetch their weights, describe them, carry them to another machine.

    NAME is nano, ARCH/TAG as open_clip has it (ViT-B-16/openai), an alias (remoteclip-l14), a
    folder in open_clip's form, hf-hub:OWNER/NAME, or a second ViT for --affinity (dinov2-vits14).
    """


@command.command("list")
@click.option("--here", is_flag=True, help="Only models whose weights are on this machine.")
@_json
@_verbose
def list_(here: bool, as_json: bool, verbose: bool) -> None:
    """List the models that can be named, and what is here of them: size and SHA-256."""
    with guard(verbose=verbose):
        from rsclip.model.weights.catalog import list_models

        models = [item.to_dict() for item in list_models(here=here)]
        if as_json:
            click.echo(json.dumps(models, indent=2, ensure_ascii=False))
            return
        rows = [
            (
                item["name"],
                str(item["patch"]),
                str(item["image"]),
                f"{item['megabytes']} MB",
                _here(item),
                item["licence"],
            )
            for item in models
        ]
        print_table(("model", "patch", "window", "in memory", "here", "licence"), rows)


@command.command("fetch")
@click.argument("name", metavar="NAME")
@_verbose
def fetch(name: str, verbose: bool) -> None:
    """Download the weights of NAME into this machine's hub cache, unless they are here and whole.

    An interrupted download goes on where it stopped; what comes is checked against the hub's
    SHA-256. Afterwards `--model NAME` works without network.
    """
    kept = "what has come is kept. Run it again: it goes on where it stopped."
    with guard(verbose=verbose, interrupted=kept):
        from rsclip.model.weights.fetch import fetch_weights

        click.echo(fetch_weights(name, DownloadLines()))


@command.command("info")
@click.argument("name", metavar="NAME", default="auto")
@_weights
@_json
@_verbose
def info(name: str, weights: str | None, as_json: bool, verbose: bool) -> None:
    """Describe NAME, or a file of weights: towers, preprocessing, licence, and where it is."""
    with guard(verbose=verbose):
        from rsclip.model.weights.catalog import describe_model
        from rsclip.model.weights.names import AUTO, DEFAULT

        facts = describe_model(DEFAULT if name == AUTO and weights is None else name, weights)
        if as_json:
            click.echo(json.dumps(facts, indent=2, ensure_ascii=False))
            return
        for key, value in _lines(facts):
            click.echo(f"{key + ':':<14}{value}")


@command.command("bundle")
@click.argument("name", metavar="NAME", default="auto")
@click.option("-o", "--output", metavar="FILE", required=True, help="The file to write.")
@_weights
@click.option("--overwrite", is_flag=True, help="Replace the file if it exists.")
@_verbose
def bundle(name: str, output: str, weights: str | None, overwrite: bool, verbose: bool) -> None:
    """Write NAME into one file: weights, architecture, preprocessing, tokenizer facts, hashes.

    On a machine without network: `--weights FILE`, no --model needed.
    """
    with guard(verbose=verbose):
        from rsclip.model.weights.catalog import bundle_model

        click.echo(bundle_model(name, output, weights, overwrite=overwrite))


@command.command("export")
@click.argument("name", metavar="NAME", default="auto")
@click.option("-o", "--output", metavar="FILE", required=True, help="The file to write.")
@_weights
@config_flags("method", "method_option", "window")
@click.option("--int8", is_flag=True, help="Compute linear layers in 8 bits.")
@click.option("--overwrite", is_flag=True, help="Replace the file if it exists.")
@_verbose
def export(
    name: str,
    output: str,
    weights: str | None,
    int8: bool,
    overwrite: bool,
    verbose: bool,
    **flags: Any,
) -> None:
    """Write NAME's image tower, as a method runs it, into one ONNX file (rsclip[onnx]).

    For other programs: `rsclip segment --engine onnx` builds and keeps its own graph.
    """
    with guard(verbose=verbose):
        config = gather_config(None, flags)
        from rsclip.methods.onnx_engine import export_model

        click.echo(
            export_model(
                name, output, weights, method=config.method, options=config.method_option,
                window=config.window, int8=int8, overwrite=overwrite,
            )
        )  # fmt: skip


def _here(item: dict[str, Any]) -> str:
    if not item["path"]:
        return ""
    if item["damaged"]:
        return "damaged: fetch it again"
    return f"{item['size'] / 2**20:.0f} MB {item['sha256'][:12]}"


def _lines(facts: dict[str, Any]) -> list[tuple[str, str]]:
    image = facts["image_tower"]
    lines = [
        ("model", facts["name"]),
        ("image tower", f"ViT, {image['layers']} blocks of width {image['width']}"),
        ("patch", f"{facts['patch']} pixels"),
        ("window", f"{facts['image']} pixels"),
        *(_of_clip(facts) if "text_tower" in facts else _of_second_vit(facts)),
        ("licence", facts["licence"] or "unknown"),
        ("source", facts["source"] or "unknown"),
    ]
    if facts.get("repository"):
        lines.append(("from", facts["repository"]))
    if "tags" in facts:
        tags = ", ".join(facts["tags"]) or "none known: give them with --weights FILE"
        return [*lines, ("weights", tags)]
    if facts["path"] is None and not facts.get("repository"):
        return [*lines, ("here", "no: give its weights with --weights FILE")]
    if facts["path"] is None:
        return [*lines, ("here", f"no: `rsclip models fetch {shlex.quote(facts['name'])}`")]
    size = f"{facts['size'] / 2**20:.0f} MB"
    here = [("here", f"{facts['path']} ({size})"), ("SHA-256", facts["sha256"])]
    if facts["damaged"]:
        here.append(("damaged", f"`rsclip models fetch {shlex.quote(facts['name'])}` mends it"))
    return [*lines, *here]


def _of_second_vit(facts: dict[str, Any]) -> list[tuple[str, str]]:
    return [
        ("timm's name", facts["timm"]),
        ("use", f"--method proxyclip --affinity {facts['name']}, beside a CLIP"),
    ]


def _of_clip(facts: dict[str, Any]) -> list[tuple[str, str]]:
    text = facts["text_tower"]
    tower = f"{text['layers']} blocks of width {text['width']}, {text['context']} tokens"
    return [
        ("text tower", tower),
        ("features", f"{facts['dimensions']} dimensions"),
        ("activation", facts["activation"]),
        ("mean", ", ".join(f"{value:g}" for value in facts["mean"])),
        ("std", ", ".join(f"{value:g}" for value in facts["std"])),
        *_own_defaults(facts),
    ]


def _own_defaults(facts: dict[str, Any]) -> list[tuple[str, str]]:
    lines = []
    if facts["gsd_range"] is not None:
        low, high = facts["gsd_range"]
        lines.append(("trained at", f"{low:g} to {high:g} m a pixel"))
    if facts["version"] is not None:
        lines.insert(0, ("version", facts["version"]))
    if facts["logit_scale"] is not None:
        lines.append(("logit scale", f"{facts['logit_scale']:g}"))
    return lines
