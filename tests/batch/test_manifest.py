"""The manifest survives kills at any byte, and says what became of every scene."""

import csv
import errno
import json
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rsclip.batch.manifest import Manifest, read_extras, read_manifest, write_table
from rsclip.batch.tasks import Outcome, Problem, Task
from rsclip.errors import InputError, OutputError, RsclipWarning, WriteError


def outcome(name, status="done", **more):
    problem = Problem("ReadError", f"{name}: cut, short") if status == "failed" else None
    task = Task(f"/data/{name}.tif", "north", "a, b", {"gsd": 0.5, "bidx": [3, 2, 1]})
    return Outcome(task, status, 1.5, "2026-01-01T00:00:00+00:00", "worker 1", problem=problem,
                   **more)  # fmt: skip


THREE = [
    outcome("ä", "failed", warnings=("odd\nline",)),
    outcome("b", outputs={"mask": "north/b_mask.tif"}, shares={"a": 0.25}, settings_hash="1f"),
    outcome("c", "skipped", tries=2),
]


def write(folder, outcomes):
    with Manifest(folder) as manifest:
        for item in outcomes:
            manifest.append(item)
    return manifest.path


def test_what_is_written_is_read(tmp_path):
    path = write(tmp_path, THREE)
    assert read_manifest(path) == read_manifest(tmp_path) == THREE


def test_the_last_line_of_a_scene_counts(tmp_path):
    write(tmp_path, THREE)
    path = write(tmp_path, [outcome("ä")])
    assert [item.status for item in read_manifest(path)] == ["done", "done", "skipped"]


@given(st.data())
def test_cut_at_any_byte_it_reads_and_goes_on(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("cut")
    path = write(folder, THREE)
    content = path.read_bytes()
    path.write_bytes(content[: data.draw(st.integers(0, len(content)))])
    whole = path.read_bytes().count(b"\n") - 1
    if whole >= 0:
        assert read_manifest(path) == THREE[:whole]
    write(folder, [outcome("d")])
    assert read_manifest(path) == [*THREE[: max(whole, 0)], outcome("d")]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b'{"rsclip_manifest": 2, "rsclip": "9.0"}\n', r"version 2 \(of rsclip 9.0\)"),
        (b"scene,status\n", "not a manifest"),
        (b"[1]\n", "not a manifest"),
        (b"\xff\xfe\x00\n", "not a manifest"),
    ],
)
def test_another_version_or_another_file_is_refused_and_kept(tmp_path, content, says):
    path = tmp_path / "manifest.jsonl"
    path.write_bytes(content)
    for use in (Manifest, read_manifest):
        with pytest.raises(InputError, match=says):
            use(tmp_path)
    assert path.read_bytes() == content


def test_a_damaged_line_in_the_middle_is_passed_over_and_named(tmp_path):
    path = write(tmp_path, THREE)
    lines = path.read_bytes().split(b"\n")
    lines[2] = b'{"scene": 1}'
    path.write_bytes(b"\n".join(lines))
    with pytest.warns(RsclipWarning, match="line 3 is damaged"):
        left = read_manifest(path)
    assert left == [THREE[0], *THREE[2:]]
    odd = [{**json.loads(lines[1]), name: 1} for name in ("scene", "settings", "outputs")]
    for damage in (
        b'{"scene": "cut sh',
        b"",
        b"\xff",
        *(json.dumps(item).encode() for item in odd),
    ):
        lines[2] = damage
        path.write_bytes(b"\n".join(lines))
        with pytest.warns(RsclipWarning, match="line 3 is damaged"):
            assert read_manifest(path) == left
    with pytest.raises(InputError, match="no such manifest"):
        read_manifest(tmp_path / "other.jsonl")


def test_a_nightly_job_lets_it_grow_no_further(tmp_path):
    """What is read stays the same: first times and warnings, and the names of extras."""
    first = [outcome(f"s{number}", outputs={"mask": f"s{number}_mask.tif"}, settings_hash="1f",
                     warnings=("odd",)) for number in range(20)]  # fmt: skip
    with Manifest(tmp_path) as manifest:
        manifest.append_extras(["mosaic.vrt"])
        for item in first:
            manifest.append(item)
    sizes = []
    for _ in range(12):
        with Manifest(tmp_path) as manifest:
            for item in first:
                manifest.append(item.replace(status="skipped", seconds=0.01, warnings=()))
            manifest.append_extras(["mosaic.vrt"])
        sizes.append(manifest.path.stat().st_size)
        skipped = [item.replace(status="skipped") for item in first]
        assert read_manifest(tmp_path) == skipped
        assert read_extras(tmp_path) == {"mosaic.vrt"}
    assert max(sizes) < 2.5 * sizes[0]
    assert not list(tmp_path.glob(".*.new"))


def test_a_disk_too_full_to_compact_it_loses_nothing(tmp_path, monkeypatch):
    before = write(tmp_path, THREE * 30).read_bytes()

    def full(_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(WriteError, match="disk is full"):
        Manifest(tmp_path)
    assert (tmp_path / "manifest.jsonl").read_bytes() == before
    assert not list(tmp_path.glob(".*.new"))


def test_what_a_line_does_not_know_is_the_one_before(tmp_path):
    (tmp_path / "m").mkdir()
    task = THREE[0].task
    outputs = {"mask": "a_mask.tif", "record": "a_run.json"}
    done = Outcome(task, "done", 40.0, "2026-01-01T00:00:00+00:00", "one", outputs=outputs,
                   settings_hash="h", shares={"road": 0.5}, warnings=("odd",))  # fmt: skip
    problem = Problem("ExistsError", "outputs exist already, made with other settings")
    failed = Outcome(task, "failed", 0.1, "2026-01-02T00:00:00+00:00", problem=problem)
    (kept,) = read_manifest(write(tmp_path, [done, failed]))
    assert (kept.status, kept.problem, kept.outputs) == ("failed", problem, outputs)
    skipped = done.replace(status="skipped", seconds=0.1, worker="two", warnings=())
    (kept,) = read_manifest(write(tmp_path / "m", [done, skipped]))
    assert (kept.status, kept.seconds, kept.warnings) == ("skipped", 40.0, ("odd",))
    # Nor do a mistyped option or area in between make them forgotten.
    outside = failed.replace(status="skipped", problem=Problem("AreaError", "outside"))
    (kept,) = read_manifest(write(tmp_path / "m", [failed, outside, skipped]))
    assert (kept.status, kept.seconds, kept.warnings) == ("skipped", 40.0, ("odd",))
    assert kept.outputs == outputs


def test_the_settings_of_a_try_that_was_only_kept_from_writing_count(tmp_path):
    """Locked by another run, a read-only folder: a retry is to run it as it was asked for."""
    outputs = {"mask": "a_mask.tif", "record": "a_run.json"}
    done = outcome("a").replace(outputs=outputs, settings_hash="h")
    problem = Problem("OutputError", "another run is making these outputs")
    task = Task(done.task.source, done.task.folder, done.task.classes, {"logit_scale": 30.0})
    failed = done.replace(task=task, status="failed", outputs={}, problem=problem)
    (kept,) = read_manifest(write(tmp_path, [done, failed]))
    assert not kept.refused
    assert kept.task.settings == {"logit_scale": 30.0}
    assert kept.outputs == outputs


def test_two_batches_do_not_write_one_manifest(tmp_path):
    with Manifest(tmp_path), pytest.raises(OutputError, match="another batch"):
        Manifest(tmp_path)
    Manifest(tmp_path).__exit__(None, None, None)


def test_the_table_says_the_same(tmp_path):
    write_table(tmp_path / "manifest.csv", THREE)
    with (tmp_path / "manifest.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["status"] for row in rows] == ["failed", "done", "skipped"]
    assert rows[0]["message"] == "ä: cut, short"
    assert rows[0]["warnings"] == "odd\nline"
    assert rows[1]["mask"] == "north/b_mask.tif"


def test_no_secret_reaches_it(tmp_path):
    task = Task("https://me:pw@host/a.tif?key=abc", "", "a, b")
    path = write(tmp_path, [Outcome(task, "done", 0, "")])
    assert b"abc" not in path.read_bytes()
    assert b"pw" not in path.read_bytes()
