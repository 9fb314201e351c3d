"""Outputs appear whole, together, or not at all."""

import contextlib
import errno
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from affine import Affine

from rsclip.errors import OutputError, WriteError
from rsclip.outputs.files.disk import write_error
from rsclip.outputs.files.staging import Staging
from rsclip.outputs.rasters.mask import MaskWriter
from rsclip.outputs.rasters.pam import write_pam
from rsclip.outputs.records.record import write_record
from rsclip.wording import naming_flags
from rsclip.words.legend import load_legend

NAMES = {"mask": "a_mask.tif", "names": "a_mask.tif.aux.xml", "record": "a_run.json"}


def fill(staging, text="new"):
    for key in NAMES:
        staging.path(key).write_text(f"{text} {key}")


def listing(folder):
    return {str(path.relative_to(folder)) for path in Path(folder).rglob("*")}


def deliver(folder, text="old", *, overwrite=False):
    with Staging(folder, NAMES, overwrite=overwrite) as staging:
        fill(staging, text)
        staging.publish()


def test_publishing_moves_everything_and_leaves_nothing_else(tmp_path):
    folder = tmp_path / "deep" / "er"
    with Staging(folder, NAMES) as staging:
        fill(staging)
        assert not any((folder / name).exists() for name in NAMES.values())
        assert staging.path("mask").name == "a_mask.tif"
        paths = staging.publish()
    assert paths == {key: folder / name for key, name in NAMES.items()}
    assert listing(folder) == set(NAMES.values())
    assert paths["record"].read_text() == "new record"


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, SystemExit])
def test_a_failure_leaves_nothing_not_even_the_folder(tmp_path, error):
    def work():
        with Staging(tmp_path / "out" / "deep", NAMES) as staging:
            fill(staging)
            raise error

    with pytest.raises(error):
        work()
    assert listing(tmp_path) == set()


def test_a_block_left_without_publishing_leaves_nothing(tmp_path):
    with Staging(tmp_path, NAMES) as staging:
        fill(staging)
    assert listing(tmp_path) == set()


def test_a_folder_that_was_there_stays_with_what_is_in_it(tmp_path):
    (tmp_path / "mine.txt").write_text("x")
    Staging.check(tmp_path, NAMES)
    Staging(tmp_path, NAMES).close()
    assert listing(tmp_path) == {"mine.txt"}


def test_checking_leaves_nothing(tmp_path):
    Staging.check(tmp_path / "new" / "er", NAMES)
    assert listing(tmp_path) == set()


def test_outputs_that_exist_need_overwrite(tmp_path):
    deliver(tmp_path)
    (tmp_path / NAMES["names"]).unlink()
    for make in (Staging, Staging.check):
        with pytest.raises(OutputError) as caught:
            make(tmp_path, NAMES)
        text = str(caught.value)
        assert "a_mask.tif, a_run.json" in text
        assert "overwrite=True" in text
        assert "aux.xml" not in text
        assert caught.value.exit_code == 2
    with Staging(tmp_path, NAMES, overwrite=True) as staging:
        fill(staging)
        assert (tmp_path / "a_run.json").read_text() == "old record"
        staging.publish()
    assert (tmp_path / "a_mask.tif").read_text() == "new mask"
    assert listing(tmp_path) == set(NAMES.values())


def test_old_outputs_stay_when_the_new_ones_fail(tmp_path):
    deliver(tmp_path)

    def work():
        with Staging(tmp_path, NAMES, overwrite=True) as staging:
            fill(staging)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        work()
    assert (tmp_path / "a_run.json").read_text() == "old record"
    assert listing(tmp_path) == set(NAMES.values())


@pytest.mark.parametrize(
    ("module", "move", "overwrite"), [(Path, "replace", True), (os, "link", False)]
)
def test_an_interrupt_after_the_move_takes_it_back(tmp_path, monkeypatch, module, move, overwrite):
    right = getattr(module, move)

    def late(source, target):
        right(source, target)
        raise KeyboardInterrupt

    monkeypatch.setattr(module, move, late)
    with pytest.raises(KeyboardInterrupt):
        deliver(tmp_path, overwrite=overwrite)
    assert listing(tmp_path) == set()


@pytest.mark.parametrize("hard_links", [True, False])
def test_an_output_that_appears_meanwhile_stays(tmp_path, monkeypatch, hard_links):
    if not hard_links:

        def refuse(*_):
            raise OSError(errno.EPERM, "Operation not permitted")

        monkeypatch.setattr(os, "link", refuse)
    with Staging(tmp_path, NAMES) as staging:
        fill(staging)
        (tmp_path / NAMES["names"]).write_text("another's")
        with pytest.raises(WriteError, match="another run has written it meanwhile"):
            staging.publish()
    assert listing(tmp_path) == {NAMES["names"]}
    assert (tmp_path / NAMES["names"]).read_text() == "another's"


def test_a_second_run_for_the_same_outputs_is_refused(tmp_path):
    with Staging(tmp_path, NAMES) as staging:
        fill(staging)
        for make in (Staging, Staging.check):
            with pytest.raises(OutputError, match="another run is making these outputs"):
                make(tmp_path, NAMES, overwrite=True)
        # Other outputs in the same folder are nobody's business.
        with Staging(tmp_path, {"record": "b_run.json"}) as other:
            other.path("record").write_text("b")
            other.publish()
        staging.publish()
    assert listing(tmp_path) == {*NAMES.values(), "b_run.json"}


def test_what_a_killed_run_left_is_recognised(tmp_path):
    code = (
        "import os, signal, sys; from rsclip.outputs.files.staging import Staging\n"
        "names = {'mask': 'a_mask.tif', 'names': 'a_mask.tif.aux.xml', 'record': 'a_run.json'}\n"
        "staging = Staging(sys.argv[1], names)\n"
        "staging.path('mask').write_text('half')\n"
        "staging.work.mkdir(); (staging.work / 'rows').write_text('kept')\n"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False)
    assert [path.name for path in tmp_path.iterdir()] == [".rsclip-a_run.json"]
    with Staging(tmp_path, NAMES) as staging:
        assert not staging.path("mask").exists()
        assert (staging.work / "rows").read_text() == "kept"
        staging.keep_work()
    with Staging(tmp_path, NAMES) as staging:
        assert (staging.work / "rows").read_text() == "kept"
        fill(staging)
        staging.publish()
    assert listing(tmp_path) == set(NAMES.values())


KILLED_AT_A_MOVE = """
import os, signal, sys
from rsclip.outputs.files import moves, staging
names = {'mask': 'a_mask.tif', 'names': 'a_mask.tif.aux.xml', 'record': 'a_run.json'}
count, overwrite, after = int(sys.argv[2]), sys.argv[3] == 'True', sys.argv[4] == 'True'
move = moves.move

def deadly(source, target, **options):
    global count
    if after:
        move(source, target, **options)
    count -= 1
    if not count:
        os.kill(os.getpid(), signal.SIGKILL)
    if not after:
        move(source, target, **options)

moves.move = deadly
if overwrite:
    # Earlier outputs are set aside first.
    move, os.replace = os.replace, deadly
former = ['a_old.csv'] if overwrite else []
with staging.Staging(sys.argv[1], names, overwrite=overwrite, former=former) as made:
    for key in names:
        made.path(key).write_text(f'new {key}')
    made.work.mkdir()
    made.publish()
"""


def die_publishing(folder, count, *, overwrite, after=True):
    code = [sys.executable, "-c", KILLED_AT_A_MOVE, str(folder), str(count)]
    done = subprocess.run([*code, str(overwrite), str(after)], check=False)
    assert done.returncode == -9
    assert (folder / ".rsclip-a_run.json").exists()


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize(
    ("count", "overwrite"),
    [(1, False), (2, False), (3, False), *((count, True) for count in range(1, 7))],
)
def test_a_kill_among_the_moves_is_brought_to_its_end(tmp_path, count, overwrite, after):
    if overwrite:
        deliver(tmp_path)
        (tmp_path / "a_old.csv").write_text("an output that the new run does not make")
    die_publishing(tmp_path, count, overwrite=overwrite, after=after)
    Staging.recover(tmp_path, NAMES)
    assert listing(tmp_path) == set(NAMES.values())
    for key, name in NAMES.items():
        assert (tmp_path / name).read_text() == f"new {key}"
    # Whole outputs: they stay, or are replaced, like any other's.
    with pytest.raises(OutputError, match="exist already"):
        Staging.check(tmp_path, NAMES)
    deliver(tmp_path, "newer", overwrite=True)
    assert (tmp_path / "a_mask.tif").read_text() == "newer mask"


class Failing:
    """Calls that change a folder fail from one on, all of them or that one alone."""

    def __init__(self, monkeypatch, first, error, *, alone):
        self.count, self._range = 0, range(first, first + 1 if alone else 10**6)
        for name in ("replace", "unlink", "link", "mkdir", "fsync"):
            monkeypatch.setattr(os, name, self._failing(getattr(os, name), error))

    def _failing(self, call, error):
        def called(*args, **options):
            self.count += 1
            if self.count - 1 in self._range:
                raise error
            return call(*args, **options)

        return called


@pytest.mark.parametrize(
    ("error", "alone"),
    [
        (OSError(errno.EIO, "Input/output error"), True),
        (OSError(errno.EIO, "Input/output error"), False),
        (KeyboardInterrupt(), True),
    ],
    ids=["an error", "errors from then on", "an interrupt"],
)
@pytest.mark.parametrize("keys", [tuple(NAMES), ("names", "record")], ids=["all", "added"])
def test_a_failing_move_loses_no_earlier_output(tmp_path, keys, error, alone):
    """Each change of the folder fails in turn: the earlier outputs are whole, or the new ones."""
    names = {key: NAMES[key] for key in keys}
    earlier = {NAMES[key]: f"old {key}" for key in NAMES}
    newer = {**earlier, **{name: f"new {key}" for key, name in names.items()}}
    seen = []
    for first in range(100):
        folder = tmp_path / str(first)
        deliver(folder)
        with pytest.MonkeyPatch.context() as monkeypatch, contextlib.ExitStack() as stack:
            staging = stack.enter_context(Staging(folder, names, overwrite=True, former=None))
            for key in names:
                staging.path(key).write_text(f"new {key}")
            failing = Failing(monkeypatch, first, error, alone=alone)
            stack.enter_context(contextlib.suppress(WriteError, KeyboardInterrupt))
            staging.publish()
        hidden = folder / ".rsclip-a_run.json"
        told = Staging.places(folder, NAMES)
        foreseen = {path.name: path.read_text() for path in told.values()}
        if alone:
            assert not hidden.exists()
        Staging.recover(folder, names)
        found = {name: (folder / name).read_text() for name in NAMES.values()}
        assert found in (earlier, newer)
        assert found == foreseen
        seen.append(found == newer)
        if failing.count <= first:
            break
    # One more than can fail, and that one succeeds.
    assert first > 2 * len(names)
    assert seen[-1]
    assert not all(seen)


@pytest.mark.parametrize("make", [Staging, Staging.check])
def test_what_cannot_be_brought_to_its_end_is_taken_back(tmp_path, make):
    die_publishing(tmp_path, 1, overwrite=False)
    (tmp_path / "a_run.json").write_text("mine")
    with pytest.raises(OutputError, match=r"exist already: a_run\.json"):
        make(tmp_path, NAMES)
    assert not (tmp_path / "a_mask.tif").exists()
    assert (tmp_path / "a_run.json").read_text() == "mine"


def everything(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("count", [1, 2, 3])
@pytest.mark.parametrize("theirs", [None, "a_mask.tif", "a_run.json"])
def test_looking_ahead_tells_what_becomes_of_it_and_touches_nothing(tmp_path, count, theirs):
    """What a run would find after a kill among the moves, whoever has put a file there since."""
    die_publishing(tmp_path, count, overwrite=False)
    if theirs:
        (tmp_path / theirs).write_text("mine")
    before = everything(tmp_path)
    places = Staging.places(tmp_path, NAMES)
    with pytest.raises(OutputError, match="exist already") as said:
        Staging.check_without_writing(tmp_path, NAMES)
    Staging.check_without_writing(tmp_path, NAMES, overwrite=True)
    told = {key: path and path.is_file() and path.read_text() for key, path in places.items()}
    assert everything(tmp_path) == before
    with pytest.raises(OutputError) as real:
        Staging.check(tmp_path, NAMES)
    assert str(said.value) == str(real.value)
    found = {key: tmp_path / name for key, name in NAMES.items()}
    assert {key: text or None for key, text in told.items()} == {
        key: path.read_text() if path.exists() else None for key, path in found.items()
    }


def test_looking_ahead_makes_no_folder_and_tells_what_making_one_would(tmp_path):
    Staging.check_without_writing(tmp_path / "new" / "er", NAMES)
    assert listing(tmp_path) == set()
    (tmp_path / "file").write_text("x")
    for folder in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(OutputError, match=r"not a folder|Not a directory"):
            Staging.check_without_writing(folder, NAMES)
    with Staging(tmp_path, NAMES), pytest.raises(OutputError, match="another run is making"):
        Staging.check_without_writing(tmp_path, NAMES)


def test_what_others_made_of_a_half_published_run_is_theirs(tmp_path):
    die_publishing(tmp_path, 2, overwrite=False)
    (tmp_path / "a_mask.tif").write_text("a mask of mine")
    with pytest.raises(OutputError, match=r"exist already: a_mask\.tif"):
        Staging(tmp_path, NAMES)
    assert {path.name for path in tmp_path.iterdir()} == {".rsclip-a_run.json", "a_mask.tif"}
    (tmp_path / "a_mask.tif").unlink()
    deliver(tmp_path)
    assert listing(tmp_path) == set(NAMES.values())


@pytest.mark.parametrize("note", ["", "[]", '{"files": 3, "overwrite": 1}'])
def test_a_damaged_note_is_no_note(tmp_path, note):
    hidden = tmp_path / ".rsclip-a_run.json"
    hidden.mkdir()
    (hidden / "publishing.json").write_text(note)
    deliver(tmp_path)
    assert listing(tmp_path) == set(NAMES.values())


def test_a_name_too_long_for_the_disk_is_refused_before_work(tmp_path):
    names = {"mask": f"{'é' * 120}_mask.tif"}
    with pytest.raises(OutputError, match=r"too many for most file systems.*Rename the scene"):
        Staging.check(tmp_path, names)


def test_an_output_that_was_not_written_is_an_error(tmp_path):
    with Staging(tmp_path, NAMES) as staging:
        staging.path("mask").write_text("x")
        with pytest.raises(WriteError, match="cannot be written"):
            staging.publish()
    assert listing(tmp_path) == set()


def test_no_output_replaces_an_input_whatever_it_is_called(tmp_path, monkeypatch):
    scene = tmp_path / "a_mask.tif"
    scene.write_text("scene")
    linked = tmp_path / "linked.tif"
    linked.symlink_to(scene)
    hard = tmp_path / "hard.tif"
    os.link(scene, hard)
    monkeypatch.chdir(tmp_path)
    inputs = [
        scene,
        "a_mask.tif",
        "./x/../a_mask.tif",
        linked,
        hard,
        f"file://{scene}",
        f"GTIFF_DIR:1:{scene}",
        f'NETCDF:"{scene}":band',
        f"/vsisubfile/0_100,{scene}",
        f"vrt://{scene}?bands=1",
    ]
    for given in inputs:
        for make in (Staging, Staging.check):
            with pytest.raises(OutputError, match="written over the input"):
                make(tmp_path, NAMES, overwrite=True, inputs=["other.tif", given])
    assert scene.read_text() == "scene"
    # An input that is not there yet is one all the same; URLs and words are none.
    with pytest.raises(OutputError, match="written over the input"):
        Staging.check(tmp_path, NAMES, inputs=[tmp_path / "a_run.json"])
    scene.unlink()
    Staging.check(tmp_path, NAMES, inputs=["s3://bucket/b.tif", "building, road", "set:x", ""])


def test_folders_that_cannot_be_used(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(OutputError, match="not a folder"):
        Staging(tmp_path / "file", NAMES)
    with pytest.raises(OutputError, match="cannot be written"):
        Staging(tmp_path / "file" / "deeper", NAMES)
    (tmp_path / "a_mask.tif").mkdir()
    with pytest.raises(OutputError, match="a folder has this name"):
        Staging(tmp_path, NAMES, overwrite=True)


def test_remedies_for_a_single_file_speak_of_it_and_its_option(tmp_path):
    path = tmp_path / "a.adapter"
    path.write_text("old")
    (tmp_path / "folder").mkdir()

    def refused(path, **settings):
        with naming_flags():
            with pytest.raises(OutputError) as caught:
                Staging.for_file(path, "page", flag="--report", **settings)
            return str(caught.value)

    assert refused(path).endswith("--overwrite, or choose another file (--report).")
    assert refused(path, overwrite=True, inputs=[path]).endswith(
        "Choose another file (--report); inputs are never replaced."
    )
    for name in ("a.adapter/b", "a.adapter/b/c", "x" * 300):
        assert refused(tmp_path / name).endswith("Choose another file (--report).")
    for empty in ("", ".", Path()):
        assert refused(empty) == "the name of an output is empty. Name a file (--report)."
    assert "a folder has this name" in refused(tmp_path / "folder")
    with (
        Staging.for_file(tmp_path / "new", "page"),
        pytest.raises(OutputError, match=r"Wait for it, or choose another file\.$"),
    ):
        Staging.for_file(tmp_path / "new", "page")


def test_a_read_only_folder_is_refused_before_work(tmp_path, monkeypatch):
    folder = tmp_path / "shut"
    folder.mkdir(mode=0o555)
    if os.access(folder, os.W_OK):
        # Root writes anywhere: let the system refuse.
        def refuse(*_, **__):
            raise PermissionError(errno.EACCES, "Permission denied")

        monkeypatch.setattr("pathlib.Path.mkdir", refuse)
    with pytest.raises(OutputError, match="cannot be written: Permission denied"):
        Staging(folder / "new", NAMES)
    assert listing(tmp_path) == {"shut"}


def test_errors_name_the_final_file_and_the_reason(tmp_path):
    with Staging(tmp_path, NAMES) as staging:
        path = staging.path("mask")
        full = write_error(OSError(errno.ENOSPC, "No space left on device"), path, needed=10**9)
        text = str(full)
        assert "the disk is full" in text
        assert "about 1.0 GB more are needed" in text
        assert f"{tmp_path / 'a_mask.tif'}:" in text
        shut = write_error(PermissionError(errno.EACCES, "Permission denied"), path)
        assert "open in another program" in str(shut)
        wrapped = RuntimeError("Write failed")
        wrapped.__cause__ = OSError(errno.EIO, "Input/output error")
        assert "Input/output error" in str(write_error(wrapped, path))


def attempt(folder, labels):
    """Write a scene's outputs; return the error that stopped it."""
    legend = load_legend("set:landcover")
    try:
        with Staging(folder, NAMES) as staging:
            path = staging.path("mask")
            with MaskWriter(path, labels.shape, None, Affine.scale(2), legend, {}) as writer:
                for row in range(0, len(labels), 50):
                    writer.write(row, labels[row : row + 50])
                writer.finish()
            write_pam(staging.path("names"), legend)
            write_record(staging.path("record"), {"a": 1})
            staging.publish()
    except WriteError as error:
        return error
    return None


def test_a_full_disk_at_any_moment_leaves_nothing(small_disk):
    labels = np.random.default_rng(0).integers(0, 15, (600, 600), "uint8")
    # From too small for the first rows to enough for all.
    attempts = 0
    for kilobytes in range(64, 768, 28):
        attempts += 1
        folder = small_disk(kilobytes)
        error = attempt(folder, labels)
        if error is None:
            break
        assert "the disk is full" in str(error)
        assert error.exit_code == 1
        assert listing(folder) == set()
    assert error is None
    assert listing(folder) == set(NAMES.values())
    assert attempts > 10
