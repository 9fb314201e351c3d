"""A folder of small scenes of three kinds, and a listener that remembers."""

import numpy as np
import pytest

from rsclip.batch import Listener
from tests.rasters import write_raster

CLASSES = "bright, dark"


@pytest.fixture
def folder(tmp_path):
    """Scenes in two folders, one of them damaged, and files that are no scenes."""
    root = tmp_path / "scenes"
    rng = np.random.default_rng(5)
    for name in ("a.tif", "north/b.tif", "north/deep/c.TIF"):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        coarse = rng.integers(20, 250, (3, 6, 8))
        write_raster(path, np.kron(coarse, np.ones((1, 16, 16))).astype("uint8"))
    (root / "north" / "bad.tif").write_bytes(b"II*\x00 cut short")
    (root / "north" / "notes.md").write_text("no raster")
    (root / ".hidden.tif").write_bytes(b"")
    return root


class Memory(Listener):
    def __init__(self):
        self.notes, self.started, self.ended, self.windows = [], [], [], {}

    def start(self, worker, task):
        self.started.append((worker, task.name))

    def advance(self, worker, done, total):
        self.windows[worker] = (done, total)

    def note(self, text):
        self.notes.append(text)

    def end(self, outcome):
        self.ended.append(outcome.task.name)


@pytest.fixture
def memory():
    return Memory()
