"""Values that a shell completes: methods, models, class sets."""

import contextlib
from collections.abc import Callable, Iterator

import click
from click.shell_completion import CompletionItem

from rsclip.errors import RsclipError

__all__ = ["complete_classes", "completer"]

_Complete = Callable[[click.Context, click.Parameter, str], list[CompletionItem]]


def _methods() -> Iterator[str]:
    from rsclip.methods import method_names

    yield from method_names()


def _models() -> Iterator[str]:
    from rsclip.model.weights.catalog import list_models

    yield "auto"
    yield from (item.name for item in list_models())


def _templates() -> Iterator[str]:
    yield from ("imagenet80", "simple", "remote-sensing")


def _sets() -> Iterator[str]:
    from rsclip.words.class_sets import describe_sets

    yield from (f"set:{item.name}" for item in describe_sets())


_VALUES = {"method": _methods, "model": _models, "templates": _templates}
_FILES = ("weights", "model", "templates", "aoi")


def _completed(
    values: Callable[[], Iterator[str]], begun: str, files: bool
) -> list[CompletionItem]:
    found: list[CompletionItem] = []
    # A completion that fails shows nothing; the command itself will say what is wrong.
    with contextlib.suppress(RsclipError, OSError):
        found = [CompletionItem(name) for name in values() if name.startswith(begun)]
    return found or ([CompletionItem(begun, type="file")] if files else [])


def completer(name: str) -> _Complete | None:
    """Return what completes the flag of a field of `SegmentConfig`, or None."""
    if name not in _VALUES and name not in _FILES:
        return None
    values = _VALUES.get(name, lambda: iter(()))
    return lambda _ctx, _param, begun: _completed(values, begun, name in _FILES)


def complete_classes(
    _ctx: click.Context, _param: click.Parameter, begun: str
) -> list[CompletionItem]:
    """Complete --classes: bundled sets, else files."""
    return _completed(_sets, begun, files=True)
