"""How a command ends when it is asked to stop, wherever the signal arrives."""

import os
import signal
import sys
import time

import pytest

from rsclip.errors import InputError
from rsclip_cli.exit_codes import guard

STOPS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]


@pytest.fixture(autouse=True)
def heard():
    """Have signals as a terminal gives them: under `nohup` some are ignored."""
    before = {number: signal.getsignal(number) for number in STOPS}
    for number in STOPS:
        signal.signal(number, signal.default_int_handler)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def ask(number):
    os.kill(os.getpid(), number)
    # The handler runs at the next instruction.
    time.sleep(0.01)


class Field:
    """Python makes a RuntimeError of what is raised here, before 3.12."""

    def __init__(self, number):
        self.number = number

    def __set_name__(self, owner, name):
        ask(self.number)


class Closing:
    """Python drops what is raised here."""

    def __init__(self, number):
        self.number = number

    def __del__(self):
        ask(self.number)


def plainly(number):
    ask(number)


def while_a_class_is_made(number):
    type("Made", (), {"field": Field(number)})


def made_an_error_of_ours(number):
    try:
        ask(number)
    except BaseException as error:
        raise InputError("torchvision does not load") from error


def in_a_destructor(number):
    Closing(number)
    for _ in range(500):
        time.sleep(0.01)
    raise AssertionError("the run went on")


@pytest.mark.parametrize("number", STOPS)
@pytest.mark.parametrize(
    "work", [plainly, while_a_class_is_made, made_an_error_of_ours, in_a_destructor]
)
def test_a_signal_ends_the_command_with_one_line(work, number, capsys):
    with pytest.raises(SystemExit) as ended, guard(interrupted="nothing is left."):
        work(number)
    assert ended.value.code == 1
    assert capsys.readouterr() == ("", "Interrupted: nothing is left.\n")


def test_afterwards_signals_and_dropped_errors_are_as_before(capsys):
    before = [signal.getsignal(number) for number in STOPS], sys.unraisablehook
    with guard():
        assert [signal.getsignal(number) for number in STOPS] != before[0]
    assert ([signal.getsignal(number) for number in STOPS], sys.unraisablehook) == before


def test_an_error_without_a_signal_stays_what_it_is(capsys):
    with pytest.raises(SystemExit) as ended, guard():
        raise InputError("there is no such scene")
    assert ended.value.code == 2
    assert capsys.readouterr().err == "Error: there is no such scene\n"


def test_a_signal_that_was_switched_off_stays_off(capsys):
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with guard():
            ask(signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, before)
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        OSError(12, "Cannot allocate memory"),
        ImportError("libtorch_cpu.so: failed to map segment from shared object"),
    ],
)
def test_memory_that_runs_out_anywhere_is_told_as_such(error, capsys):
    with pytest.raises(SystemExit) as ended, guard():
        raise error
    assert ended.value.code == 1
    said = capsys.readouterr().err
    assert said.startswith("Error: rsclip: the memory of this machine does not suffice.")
    assert said.count("\n") == 1
