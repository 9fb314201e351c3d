"""What of partial work is on the disk, and how far it is said to count."""

import os

import numpy as np
import pytest

from rsclip.run.checkpoint import Checkpoint, windows_done

KIN = {"settings_hash": "1f"}


def commit(folder):
    checkpoint = Checkpoint(folder, KIN, resume=True)
    checkpoint.add("mask", 0, np.zeros((4, 9), np.uint8))
    checkpoint.commit({"tile": np.asarray(12)})
    checkpoint.close()


def test_all_that_a_commit_stands_on_is_brought_to_the_disk(tmp_path, monkeypatch):
    """Also what says which run it belongs to: after a power cut it would count for none."""
    synced = set()
    monkeypatch.setattr(os, "fsync", lambda handle: synced.add(os.fstat(handle).st_ino))
    commit(tmp_path)
    files = {path.name: path.stat().st_ino for path in tmp_path.iterdir()}
    assert set(files) == {"fingerprint.json", "rows.log", "state.npz"}
    assert set(files.values()) <= synced


def test_how_far_it_counts_is_told_without_a_touch(tmp_path):
    assert windows_done(tmp_path / "none", KIN) == 0
    commit(tmp_path)
    assert windows_done(tmp_path, KIN) == 12
    assert windows_done(tmp_path, {"settings_hash": "other"}) == 0
    assert len(list(tmp_path.iterdir())) == 3


@pytest.mark.parametrize("name", ["fingerprint.json", "rows.log", "state.npz"])
def test_cut_short_it_counts_for_nothing(tmp_path, name):
    commit(tmp_path)
    content = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(content[: len(content) // 2])
    assert windows_done(tmp_path, KIN) == 0
