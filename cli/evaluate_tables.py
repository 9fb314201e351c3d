"""How `rsclip evaluate` prints what it found."""

import json
from typing import TYPE_CHECKING, Any

import click

from rsclip_cli.table import print_table

if TYPE_CHECKING:
    from rsclip.study.evaluate.result import Evaluation
    from rsclip.study.evaluate.trials import Trial
    from rsclip.study.sample import Assessment

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
    from rsclip.study.sample.report import CONFUSION, area_table, confusion_table, sentences

    print_table(*area_table(found))
    click.echo(f"\n{CONFUSION}")
    print_table(*confusion_table(found))
    click.echo("\n" + "\n".join(sentences(found)))
    if found.paths:
        click.echo(found.paths["page"])


def _print(content: Any) -> None:
    from rsclip.outputs.records.record import to_plain

    click.echo(json.dumps(to_plain(content), indent=2, ensure_ascii=False))
