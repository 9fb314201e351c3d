"""Whatever is mutated ends in a result or in one RsclipError: no signal, no hang, no file left."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

WORKER = Path(__file__).with_name("worker.py")
SEED = 20
SHORT = {"scenes": 10, "masks": 20, "labels": 20, "classes": 100, "configs": 100, "bundles": 6}
LONG = {
    "scenes": 5000, "masks": 1000, "labels": 1000, "classes": 1000, "configs": 1000, "bundles": 1000
}  # fmt: skip


def run(kind, first, count, folder, model):
    """Return what got through, a process that died or hung included."""
    environment = {**os.environ, "RSCLIP_FUZZ_MODEL": model}
    command = [sys.executable, WORKER, kind, SEED, first, count, folder]
    done = subprocess.run(
        [str(part) for part in command], capture_output=True, text=True, env=environment,
        errors="replace", timeout=60 + 3 * count,
    )  # fmt: skip
    lines = done.stdout.split("\n")[:-1]
    if done.returncode == 0:
        ended = json.loads(lines[-1])
        # Mutations that nothing survives, or all, try nothing; of bundles nearly all break a hash.
        assert ended["refused"] > 0
        assert ended["of"] == count
        assert ended["refused"] < count or kind == "bundles"
        return lines[:-1]
    number = (folder / "now").read_text() if (folder / "now").exists() else "none"
    return [*lines, f"exit {done.returncode} in case {number}: {done.stderr[-2000:]}"]


@pytest.mark.parametrize("kind", SHORT)
def test_a_few_mutations(kind, tiny_model, tmp_path):
    assert run(kind, 0, SHORT[kind], tmp_path / kind, tiny_model) == []


@pytest.mark.long
@pytest.mark.parametrize("kind", LONG)
def test_many_mutations(kind, tiny_model, tmp_path):
    assert run(kind, 0, LONG[kind], tmp_path / kind, tiny_model) == []
