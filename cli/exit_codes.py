"""How a command ends: warnings and errors as one line each, and the exit code."""

import contextlib
import os
import signal
import sys
import threading
import traceback
import warnings
from collections.abc import Iterator
from typing import Any

import click

from rsclip.errors import InputError, RsclipError, RsclipWarning, is_memory_error, out_of_memory
from rsclip.wording import naming_flags

__all__ = ["fail", "guard"]

_NOTHING_LEFT = "no half-made output was left behind."


@contextlib.contextmanager
def guard(
    *, quiet: bool = False, verbose: bool = False, interrupted: str = _NOTHING_LEFT
) -> Iterator[None]:
    """Show warnings as one line each, and end on an error with one message and its exit code.

    Args:
        quiet: Show no warning.
        verbose: Show the libraries' warnings and tracebacks too.
        interrupted: What is true after Ctrl-C.
    """
    shown: set[str] = set()

    def show(message: Warning | str, *_: Any, **__: Any) -> None:
        text = str(message)
        if not quiet and text not in shown:
            shown.add(text)
            click.echo(f"Warning: {text}", err=True)

    stop = _Stop()
    with stop, naming_flags(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if verbose:
            # Deprecations are for developers of the libraries, not for those who run them.
            warnings.simplefilter("default", UserWarning)
            warnings.simplefilter("default", RuntimeWarning)
        warnings.filterwarnings("always", category=RsclipWarning)
        warnings.showwarning = show
        try:
            with stop.told():
                yield
        except KeyboardInterrupt as error:
            # What was kept, and how to go on from it, stands in its notes.
            said = [f"Interrupted: {interrupted}", *_notes(error)]
            click.echo(" ".join(said), err=True)
            sys.exit(1)
        except RsclipError as error:
            fail(error, verbose=verbose)
            sys.exit(error.exit_code)
        except click.ClickException:
            raise
        except BrokenPipeError:
            # `rsclip ... | head`: nobody reads on. Python would complain once more as it ends.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            sys.exit(1)
        except Exception as error:
            if is_memory_error(error):
                fail(out_of_memory("rsclip"), verbose=verbose)
                sys.exit(1)
            if isinstance(error, PermissionError) and error.filename:
                remedy = "Check the permissions of it and of the folders above it."
                denied = InputError("permission denied", where=error.filename, remedy=remedy)
                fail(denied, verbose=verbose)
                sys.exit(denied.exit_code)
            if verbose:
                traceback.print_exc()
            click.echo(
                f"Error: unexpected {type(error).__name__}: {error}. "
                "Run again with --verbose for the traceback, and please report it."
                + "".join(f" {note}" for note in _notes(error)),
                err=True,
            )
            sys.exit(1)


class _Stop:
    """Ctrl-C, a queue's SIGTERM and a lost terminal: all end with the temporary files removed.

    They arrive at any instruction, so also where Python or a library drops the exception (a
    destructor, a callback of the garbage collector) or makes another one of it (an import).
    """

    def __init__(self) -> None:
        self.asked: int | None = None

    def __enter__(self) -> None:
        self._before: dict[int, Any] = {}
        for name in ("SIGINT", "SIGTERM", "SIGHUP"):
            # In another thread than the main one, and on Windows, some cannot be taken.
            with contextlib.suppress(ValueError, AttributeError):
                number = getattr(signal, name)
                # What `nohup` has switched off stays off.
                if signal.getsignal(number) not in (signal.SIG_IGN, None):
                    self._before[number] = signal.signal(number, self._interrupt)
        self._unraisable, sys.unraisablehook = sys.unraisablehook, self._dropped

    def __exit__(self, *_: object) -> None:
        sys.unraisablehook = self._unraisable
        for number, handler in self._before.items():
            signal.signal(number, handler)

    @contextlib.contextmanager
    def told(self) -> Iterator[None]:
        """Raise `KeyboardInterrupt` in place of the error that a library made of it."""
        try:
            yield
        except Exception as error:
            if self.asked is None:
                raise
            stopped = KeyboardInterrupt()
            for note in _notes(error):
                stopped.add_note(note)
            raise stopped from error

    def _interrupt(self, number: int, _: object) -> None:
        self.asked = number
        raise KeyboardInterrupt

    def _dropped(self, dropped: Any) -> None:
        if self.asked is None or dropped.exc_type is not KeyboardInterrupt:
            self._unraisable(dropped)
            return
        # Once more, when the code that drops exceptions has ended.
        again = threading.Timer(0.05, signal.raise_signal, [self.asked])
        again.daemon = True
        again.start()


def _notes(error: BaseException) -> list[str]:
    """Return what rsclip adds to an error; from 3.12 on, Python adds where a class was made."""
    notes: list[str] = getattr(error, "__notes__", [])
    return [note for note in notes if "__set_name__" not in note]


def fail(error: RsclipError, *, verbose: bool = False) -> None:
    """Print one error, with its traceback if asked for."""
    if verbose:
        traceback.print_exception(error)
    click.echo(f"Error: {error}", err=True)
