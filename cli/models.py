"""`rsclip models`: fetch the weights of a model, the only command that downloads."""

import click

from rsclip_cli.report import guard

__all__ = ["command"]


@click.group("models")
def command() -> None:
    """Weights of models on this machine."""


@command.command("fetch")
@click.argument("name", metavar="ARCH/TAG")
@click.option("--verbose", is_flag=True, help="Show details and, on an error, the traceback.")
def fetch(name: str, verbose: bool) -> None:
    """Download the weights of ARCH/TAG, such as ViT-B-16/openai, into this machine's hub cache.

    Afterwards `--model ARCH/TAG` works without network.
    """
    with guard(verbose=verbose):
        from rsclip.backbone.fetch import fetch_weights

        click.echo(fetch_weights(name))
