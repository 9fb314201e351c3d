"""How `rsclip evaluate` prints what it found."""

import json
import math
from typing import TYPE_CHECKING, Any

import click

from rsclip_cli.table import print_table

if TYPE_CHECKING:
    from rsclip.study.evaluate import Evaluation, Trial
    from rsclip.study.sample import Assessment
    from rsclip.study.sample.estimate import Estimate

__all__ = ["print_json", "show_areas", "show_scores", "show_trials"]


def print_json(found: "Evaluation | Assessment") -> None:
    """Print all numbers, and the files that were written."""
    outputs = {key: str(path) for key, path in found.paths.items()}
    _print({**found.to_dict(), "outputs": outputs})


def show_scores(found: "Evaluation") -> None:
    """Print the scores of the classes and of the map."""
    from rsclip.study.evaluate.tables import class_rows, notes, overall_rows

    header, rows = class_rows(found)
    print_table(header, rows)
    click.echo()
    print_table(["score", "%"], overall_rows(found))
    click.echo()
    for line in notes(found):
        click.echo(line)
    if found.paths:
        click.echo(found.paths["page"])


def show_trials(trials: "list[Trial]", said: list[str], *, as_json: bool) -> None:
    """Print one table of all trials; of a single one its classes too."""
    from rsclip.study.evaluate.set_report import overall_table
    from rsclip.study.evaluate.tables import notes
    from rsclip.study.evaluate.trials import trial_cells

    best = trials[0].scores
    if as_json:
        outputs = {key: str(path) for key, path in best.paths.items()}
        found = [
            {"gsd": each.gsd, "model": each.model, "method": each.method,
             "threshold": each.threshold, "words": each.words, "published": each.published,
             **each.scores.to_dict()}
            for each in trials
        ]  # fmt: skip
        _print({"trials": found, "notes": said, "outputs": outputs})
        return
    if len(trials) == 1:
        show_scores(best)
    else:
        print_table(*overall_table(*trial_cells(trials)))
        click.echo("\n" + "\n".join(notes(best)))
        if best.paths:
            click.echo(best.paths["page"])
    for line in said:
        click.echo(line)


def show_areas(found: "Assessment") -> None:
    """Print accuracy, areas and the area-adjusted confusion."""
    estimates, names = found.estimates, found.legend.names
    rows = []
    for value in found.shown():
        area = found.area(value)
        ground = "-" if area is None else f"{area.value:,.2f} +- {area.half:,.2f}"
        scores = (estimates.user[value], estimates.producer[value], estimates.share[value])
        rows.append([names[value], *map(_percent, scores), ground])
    print_table(["class", "user's accuracy", "producer's accuracy", "share", "hectares"], rows)
    click.echo(f"\nOverall accuracy: {_percent(estimates.overall)} %")
    shown = found.shown()
    click.echo("\nArea-adjusted confusion, % of the area; rows: map, columns: labelled")
    table = [
        [names[value], *(f"{100 * estimates.matrix[value, other]:.2f}" for other in shown)]
        for value in shown
    ]
    print_table(["", *(names[value] for value in shown)], table)
    click.echo(
        f"\nFrom {int(found.counts.sum())} labelled points; accuracies and shares in percent, "
        "+- half the 95 % interval (Olofsson et al. 2014)."
    )
    if found.paths:
        click.echo(found.paths["page"])


def _percent(found: "Estimate") -> str:
    if math.isnan(found.value):
        return "-"
    return f"{100 * found.value:.1f} +- {100 * found.half:.1f}"


def _print(content: Any) -> None:
    from rsclip.outputs.records.record import to_plain

    click.echo(json.dumps(to_plain(content), indent=2, ensure_ascii=False))
