"""`rsclip diagnose`: what the layers of a model hold, on imagery of one's own."""

import json
from typing import TYPE_CHECKING, Any

import click

from rsclip.config import STUDY_OPTIONS, STUDY_SEED, STUDY_WINDOWS
from rsclip_cli.completion import complete_classes
from rsclip_cli.exit_codes import guard
from rsclip_cli.options import GroupedCommand, config_flags, output_options, progress_option
from rsclip_cli.progress import ProgressLine

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rsclip.study.diagnose import Study
    from rsclip.study.diagnose.layers import LayerStatistics

__all__ = ["command"]

_POINT = ("attention", "residual", "ffn", "alpha", "beta", "normalised")


@click.command("diagnose", cls=GroupedCommand)
@click.argument("source", metavar="SCENE|FOLDER")
@click.option(
    "--classes",
    metavar="CLASSES",
    shell_complete=complete_classes,
    help='Words ("building|house, road"), a class file, or set:NAME.',
)
@click.option(
    "--labels",
    metavar="FILE|FOLDER",
    help="The truth, raster or vector; or a folder with <stem>_labels.* of each scene.",
)
@click.option(
    "-o", "--output-dir", metavar="DIR", required=True, help="Output folder, created if missing."
)
@click.option(
    "--windows",
    metavar="N",
    type=int,
    default=STUDY_WINDOWS,
    help=f"How many windows to look at  [default: {STUDY_WINDOWS}].",
)
@click.option(
    "--seed",
    metavar="N",
    type=int,
    default=STUDY_SEED,
    help=f"Seed of the random choice of windows  [default: {STUDY_SEED}].",
)
@config_flags(*STUDY_OPTIONS)
@progress_option
@output_options
def command(
    source: str,
    classes: str | None,
    labels: str | None,
    output_dir: str,
    windows: int,
    seed: int,
    progress: str,
    quiet: bool,
    verbose: bool,
    as_json: bool,
    **flags: Any,
) -> None:
    """Study a model on windows of SCENE, or of the scenes in FOLDER, as the ClearCLIP paper does.

    Measures what every layer's attention adds to what enters it: entropy, norm, maximum, channels.
    With --classes, draws label maps from each part of the last layer; with --labels too, scores
    them, and all combinations of residual, feed-forward part and attention. With --affinity, or a
    second ViT such as dino-vits16 as --model, its layers stand beside the CLIP's.

    Writes report.html (opens offline), the numbers as CSV, and study.json.
    """
    with guard(quiet=quiet, verbose=verbose):
        from rsclip.study.diagnose import study

        given = {name: value for name, value in flags.items() if value is not None}
        shown = ProgressLine(quiet=quiet, form=progress)
        found = study(
            source,
            output_dir,
            classes=classes,
            labels=labels,
            windows=windows,
            seed=seed,
            progress=shown,
            **given,
        )
        shown.close()
        if as_json:
            click.echo(json.dumps(_plain(found), indent=2, ensure_ascii=False))
        elif not quiet:
            _show(found)


def _show_layers(name: str, layers: "Sequence[LayerStatistics]") -> None:
    depth = layers[-1].layer
    click.echo(f"\n{name}\nlayer  part      entropy       norm    maximum")
    for each in layers:
        if each.layer in (1, (depth + 1) // 2, depth):
            click.echo(
                f"{each.layer:5}  {each.part:<7} {each.entropy:9.4f} {each.norm:10.2f} "
                f"{each.maximum:10.2f}"
            )


def _plain(found: "Study") -> dict[str, Any]:
    return {
        "outputs": {key: str(path) for key, path in found.paths.items()},
        "windows": found.windows,
        "layers": _rows(found.layers),
        "beside": _rows(found.beside),
        "attention_norms": dict(found.attention_norms),
        "scores": [
            {"sweep": s.variant.sweep, "name": s.variant.name,
             **{key: getattr(s.variant.options, key) for key in _POINT},
             "miou": s.miou, "accuracy": s.accuracy,
             "iou": [None if value != value else value for value in s.iou.tolist()]}
            for s in found.scores
        ],
    }  # fmt: skip


def _rows(layers: "Sequence[LayerStatistics]") -> list[dict[str, Any]]:
    return [
        {"layer": s.layer, "part": s.part, "entropy": s.entropy, "norm": s.norm,
         "mean_maximum": s.maximum}
        for s in layers
    ]  # fmt: skip


def _show(found: "Study") -> None:
    norms = ", ".join(f"{name} {value:.2f}" for name, value in found.attention_norms.items())
    click.echo(f"{found.paths['report']}  ({found.windows} windows)")
    _show_layers(found.record["model"]["name"], found.layers)
    click.echo(f"norm of the last X_attn: {norms}")
    if found.beside:
        _show_layers(found.record["affinity"]["name"], found.beside)
    if not found.scores:
        return
    click.echo(
        "\nmIoU, %, by what the last layer keeps (parts; the best of the rest) and its attention"
    )
    for each in found.scores:
        if each.variant.sweep == "parts":
            click.echo(f"  {each.variant.name:<12} qk        {100 * each.miou:6.1f}")
    ablation = [each for each in found.scores if each.variant.sweep == "ablation"]
    for score in sorted(ablation, key=lambda score: -score.miou)[:3]:
        variant = score.variant
        click.echo(f"  {variant.name:<12} {variant.options.attention:<9} {100 * score.miou:6.1f}")
    for sweep, name in (("alpha", "X_res + alpha X_attn"), ("beta", "X_res less beta % + X_attn")):
        for attention in ("qk", "qq"):
            points = [
                f"{each.variant.name} {100 * each.miou:.1f}"
                for each in found.scores
                if (each.variant.sweep, each.variant.options.attention) == (sweep, attention)
            ]
            click.echo(f"  {name}, {attention}: {', '.join(points)}")
