"""ONNX Runtime gives what PyTorch gives, builds a graph once, and says what it cannot do."""

import importlib.util
import json
import threading
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import rasterio
import torch

import rsclip as library
from rsclip.errors import EncodeError, ExistsError, OptionError, RsclipWarning
from rsclip.methods import METHODS, onnx_engine
from rsclip.methods import segmenter as segmenter_module
from rsclip.methods.segmenter import Segmenter
from rsclip.words.prompts import load_templates, word_prompts
from tests.methods.test_every_method import TEXT, VARIANTS, pictures
from tests.model.models import tiny_clip
from tests.parity.cases import ATTENTION, load_case

TILE = Path(__file__).parents[2] / "sample_tiles/coast.tif"
NAMES = ("vanilla", "MaskCLIP", "SCLIP", "ClearCLIP")
EXPORTED = [each for each in VARIANTS if METHODS[each[0]].fixed_graph]


def ready(backbone, text=TEXT, engine="onnx", **settings):
    return Segmenter(backbone, text, device="cpu", engine=engine, **settings)


@pytest.fixture
def built(monkeypatch, tmp_path):
    """Graphs are kept in a folder; the list grows with each that is exported."""
    monkeypatch.setenv("RSCLIP_CACHE", str(tmp_path))
    export, calls = onnx_engine._export, []

    def counted(*args):
        calls.append(args)
        return export(*args)

    monkeypatch.setattr(onnx_engine, "_export", counted)
    return calls


@pytest.mark.parametrize(("method", "options"), EXPORTED, ids=str)
def test_the_numbers_are_pytorchs_in_any_batch(method, options):
    backbone = library.wrap(tiny_clip(vision={"layers": 4}))
    segmenter = ready(backbone, method=method, options=options, batch_size=3)
    plain = Segmenter(backbone, TEXT, method=method, options=options, device="cpu")
    for images in (pictures(4, 32, 32), pictures(1, 48, 72)):
        expected = plain.similarities(images)
        np.testing.assert_allclose(segmenter.similarities(images), expected, rtol=0, atol=1e-4)
        assert expected.std() > 1e-2


@pytest.mark.parametrize(("kind", "kept"), [(k, b) for k in NAMES for b in (False, True)], ids=str)
@pytest.mark.parametrize("name", ["clearclip-tiny-square", "clearclip-tiny-posinterp-gelu"])
def test_parity_with_the_papers(name, kind, kept):
    case, arrays, backbone = load_case(name)
    prompts = [word_prompts(each, load_templates("imagenet80")) for each in case["queries"]]
    options = {"attention": ATTENTION[kind], "residual": kept, "ffn": kept}
    images = arrays["image"].transpose(2, 0, 1)[None].astype(np.float32) / 255
    found = ready(backbone, prompts, options=options).similarities(images)
    expected = arrays[f"{kind}.ignore_residual={not kept}.logits"]
    np.testing.assert_allclose(found[0], expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize(("method", "options"), EXPORTED, ids=str)
def test_int8_gives_nearly_the_labels_of_fp32_whatever_the_batch(method, options):
    backbone = library.wrap(tiny_clip(vision={"layers": 4}))
    images = pictures(4, 32, 32)
    images[1] = 0
    settings = {"method": method, "options": options}
    expected = Segmenter(backbone, TEXT, device="cpu", **settings).similarities(images)
    segmenter = ready(backbone, engine="onnx-int8", **settings)
    found = segmenter.similarities(images)
    assert np.corrcoef(found.ravel(), expected.ravel())[0, 1] > 0.99
    assert (found.argmax(1) == expected.argmax(1)).mean() > 0.95
    assert np.abs(found - expected).max() > 1e-6
    alone = np.concatenate([segmenter.similarities(each[None]) for each in images])
    # Only the comparison with words is rounded otherwise.
    np.testing.assert_allclose(alone, found, rtol=0, atol=1e-6)


@pytest.mark.parametrize(("method", "count"), [("clearclip", 1), ("segearth", 2)])
def test_the_projection_of_patches_and_cls_stays_float(method, count):
    import onnx

    backbone = library.wrap(tiny_clip())
    image = torch.zeros(1, 3, *backbone.image_shape)
    graph = onnx_engine._export(METHODS[method], backbone, image, METHODS[method].options)
    found = onnx.load_from_string(onnx_engine._int8(graph)).graph
    values = {each.name for each in found.initializer}
    linear = [each for each in found.node if each.op_type == "MatMul" and each.input[1] in values]
    assert len(linear) == count
    assert len({each.input[1] for each in linear}) == 1


@pytest.mark.parametrize(("method", "parts"), [("clearclip", 2), ("maskclip", 1)])
def test_the_last_block_computes_only_what_the_method_uses(method, parts):
    backbone = library.wrap(tiny_clip())
    image = torch.zeros(1, 3, *backbone.image_shape)
    graph = onnx_engine._export(METHODS[method], backbone, image, METHODS[method].options)
    found = onnx.load_from_string(graph).graph
    shapes = {each.name: tuple(each.dims) for each in found.initializer}
    linear = [
        shapes[each.input[1]]
        for each in found.node
        if each.op_type == "MatMul" and each.input[1] in shapes
    ]
    width = backbone.width
    assert linear[-3:] == [(width, parts * width), (width, width), (width, backbone.dim)]


@pytest.mark.parametrize(("batch", "shared"), [(None, 1), (2, 1), (1, 3)])
def test_each_thread_has_a_window_of_its_own(batch, shared, monkeypatch):
    monkeypatch.setattr(torch, "get_num_threads", lambda: 3)
    sessions = []

    class Session:
        """Runs windows only where as many run at the same time as are asked for."""

        def __init__(self, graph, settings, providers):
            self.settings, self.together = settings, threading.Barrier(min(batch or 3, 3))
            self.real = onnx_session(graph, settings, providers=providers)
            sessions.append(self)

        def run(self, names, feed):
            self.together.wait(timeout=20)
            return self.real.run(names, feed)

    onnx_session = onnxruntime.InferenceSession
    monkeypatch.setattr(onnxruntime, "InferenceSession", Session)
    backbone = library.wrap(tiny_clip())
    # Of windows so large that a batch would be one.
    monkeypatch.setattr(segmenter_module, "automatic_batch", lambda *args, **settings: 1)
    segmenter = ready(backbone, batch_size=batch)
    images = pictures(6, 32, 32)
    plain = Segmenter(backbone, TEXT, device="cpu").similarities(images)
    np.testing.assert_allclose(segmenter.similarities(images), plain, rtol=0, atol=1e-4)
    (session,) = sessions
    assert session.settings.intra_op_num_threads == shared


class FailingSession:
    """Fails as ONNX Runtime does, with an error that is no RuntimeError."""

    def __init__(self, message):
        self.message = message

    def run(self, names, feed):
        raise type("Fail", (Exception,), {})(self.message)


def test_where_onnx_runtime_lacks_memory_the_batch_is_halved(monkeypatch):
    session = FailingSession("Failed to allocate memory for requested buffer of size 8")
    monkeypatch.setattr(onnx_engine._OnnxFeatures, "_open", lambda self, graph: session)
    with (
        pytest.warns(RsclipWarning, match="goes on with smaller ones"),
        pytest.raises(EncodeError, match=r"one window of 32 x 32 .* does not fit the memory"),
    ):
        ready(library.wrap(tiny_clip()), batch_size=4).similarities(pictures(4, 32, 32))


def test_what_onnx_runtime_cannot_run_is_told(monkeypatch):
    session = FailingSession("Non-zero status code returned")
    monkeypatch.setattr(onnx_engine._OnnxFeatures, "_open", lambda self, graph: session)
    with pytest.raises(EncodeError, match=r"the encoder failed .*Non-zero status"):
        ready(library.wrap(tiny_clip()), batch_size=4).similarities(pictures(4, 32, 32))


def test_a_method_that_pytorch_runs_keeps_pytorchs_batch(monkeypatch):
    monkeypatch.setattr(torch, "get_num_threads", lambda: 300)
    backbone = library.wrap(tiny_clip(vision={"layers": 4}))
    plain = Segmenter(backbone, TEXT, method="scclip", device="cpu").batch_size
    with pytest.warns(RsclipWarning, match="no fixed graph"):
        segmenter = ready(backbone, method="scclip")
    assert (segmenter.batch_size, segmenter.engine) == (plain, None)
    assert plain < 300
    assert ready(backbone).batch_size == 300


def test_nanos_labels_in_int8_are_those_of_fp32_but_for_a_few():
    backbone = library.load_model("nano")
    with rasterio.open(TILE) as tile:
        windows = [tile.read((1, 2, 3), window=((row, row + 64), (col, col + 64)))
                   for row in range(0, 512, 128) for col in range(0, 512, 128)]  # fmt: skip
    images = np.stack(windows).astype(np.float32) / 255
    labels = [
        Segmenter(backbone, [["water"], ["beach"], ["building"], ["forest"]], device="cpu",
                  engine=engine).similarities(images).argmax(1)
        for engine in ("torch", "onnx-int8")
    ]  # fmt: skip
    assert 0.98 < (labels[0] == labels[1]).mean() < 1


def test_other_words_and_other_runs_build_nothing(built):
    backbone = library.wrap(tiny_clip())
    images = pictures(2, 32, 32)
    first = ready(backbone).similarities(images)
    ready(backbone, TEXT[:2] * 3).similarities(images)
    np.testing.assert_array_equal(ready(library.wrap(tiny_clip())).similarities(images), first)
    assert len(built) == 1


@pytest.mark.parametrize(
    "other",
    [
        {"backbone": {"seed": 1}},
        {"backbone": {"quick_gelu": True}},
        {"method": "naclip"},
        {"options": {"alpha": 2}},
        {"images": (40, 32)},
        {"engine": "onnx-int8"},
    ],
    ids=str,
)
def test_what_changes_the_graph_builds_another(built, other):
    ready(library.wrap(tiny_clip())).similarities(pictures(1, 32, 32))
    backbone = library.wrap(tiny_clip(**other.get("backbone", {})))
    settings = {key: other[key] for key in ("method", "options") if key in other}
    engine = other.get("engine", "onnx")
    images = pictures(1, *other.get("images", (32, 32)))
    found = ready(backbone, engine=engine, **settings).similarities(images)
    assert len(built) == 2
    expected = Segmenter(backbone, TEXT, device="cpu", **settings).similarities(images)
    np.testing.assert_allclose(found, expected, rtol=0, atol=0.1 if "engine" in other else 1e-4)


def test_a_damaged_graph_is_built_again(built, tmp_path):
    images = pictures(1, 32, 32)
    first = ready(library.wrap(tiny_clip())).similarities(images)
    (graph,) = tmp_path.rglob("*.onnx")
    graph.write_bytes(graph.read_bytes()[:5000])
    again = ready(library.wrap(tiny_clip())).similarities(images)
    np.testing.assert_array_equal(again, first)
    assert len(built) == 2
    assert graph.stat().st_size > 5000


def test_a_kept_graph_that_names_other_files_is_built_again(built, tmp_path):
    images = pictures(1, 32, 32)
    first = ready(library.wrap(tiny_clip())).similarities(images)
    (graph,) = tmp_path.rglob("*.onnx")
    content, other = onnx.load(graph), graph.parent / "other"
    graph.unlink()
    onnx.save(content, graph, save_as_external_data=True, location=other.name, size_threshold=0)
    other.write_bytes(bytes(other.stat().st_size))
    again = ready(library.wrap(tiny_clip())).similarities(images)
    np.testing.assert_array_equal(again, first)
    assert len(built) == 2


def test_a_folder_that_cannot_be_written_is_told(monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("RSCLIP_CACHE", str(tmp_path / "file"))
    with pytest.warns(RsclipWarning, match="cannot be kept"):
        ready(library.wrap(tiny_clip())).similarities(pictures(1, 32, 32))


def test_a_graph_is_never_built_twice_at_once(built):
    images = pictures(1, 32, 32)
    segmenters = [ready(library.wrap(tiny_clip())) for _ in range(2)]
    threads = [threading.Thread(target=each.similarities, args=(images,)) for each in segmenters]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert len(built) == 1


def test_a_method_that_is_no_fixed_graph_runs_on_pytorch():
    backbone = library.wrap(tiny_clip())
    images = pictures(1, 32, 32)
    with pytest.warns(RsclipWarning, match="scclip is no fixed graph"):
        found = ready(backbone, method="scclip").similarities(images)
    plain = Segmenter(backbone, TEXT, method="scclip", device="cpu").similarities(images)
    np.testing.assert_array_equal(found, plain)


@pytest.mark.parametrize("missing", ["onnx", "onnxruntime"])
def test_without_the_extra_one_message_says_what_to_install(monkeypatch, missing):
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == missing else find(name)
    )
    with pytest.raises(OptionError, match=rf'{missing}.*pip install "rsclip\[onnx\]"'):
        ready(library.wrap(tiny_clip()))


def test_half_precision_is_refused():
    with pytest.raises(OptionError, match=r"onnx-int8.*not bf16 on cpu"):
        ready(library.wrap(tiny_clip()), engine="onnx-int8", precision="bf16")


def test_the_command_equals_the_library_and_the_record_names_the_engine(
    rsclip, make_scene, tiny_model, tmp_path
):
    scene, words = make_scene(), "road, water"
    plain = library.segment(scene, words, tmp_path / "plain", model=tiny_model)
    found = library.segment(scene, words, tmp_path / "found", model=tiny_model, engine="onnx")
    done = rsclip(
        "segment", scene, "--classes", words, "--model", tiny_model, "--engine", "onnx",
        "-o", tmp_path / "command",
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    np.testing.assert_array_equal(found.mask(), plain.mask())
    (record,) = (tmp_path / "command").glob("*_run.json")
    said = json.loads(record.read_text())
    assert said["model"]["engine"] == found.run["model"]["engine"] == onnx_engine.onnx_version()
    assert "engine" not in plain.run["model"]
    again = {"model": tiny_model, "output_dir": tmp_path / "found", "resume": True}
    with pytest.raises(ExistsError, match=r"engine.*onnx-int8"):
        library.segment(scene, words, **again, engine="onnx-int8")
    for mask in (tmp_path / "command").glob("*_mask.tif"):
        with rasterio.open(mask) as dataset:
            np.testing.assert_array_equal(dataset.read(1), found.mask())


def test_a_graph_in_a_file_of_its_own(rsclip, tmp_path):
    import onnxruntime

    path = tmp_path / "nano.onnx"
    asked = ["models", "export", "nano", "-o", str(path), "--method", "sclip", "--window", "72"]
    assert rsclip(*asked).exit_code == 0
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    note = json.loads(session.get_modelmeta().custom_metadata_map["rsclip"])
    assert (note["name"], note["method"], note["window"]) == ("nano", "sclip", [72, 72])
    images = pictures(3, 72, 72)
    backbone = library.load_model("nano")
    (tokens,) = session.run(None, {"images": backbone.normalise(torch.from_numpy(images)).numpy()})
    segmenter = Segmenter(backbone, [["a road"]], method="sclip", device="cpu")
    features, _ = segmenter.patches(images)
    found = tokens / np.linalg.norm(tokens, axis=-1, keepdims=True)
    np.testing.assert_allclose(found.reshape(features.shape), features, rtol=0, atol=1e-4)

    content = path.read_bytes()
    assert "the file exists" in rsclip(*asked).stderr
    assert path.read_bytes() == content
    assert rsclip(*asked, "--overwrite", "--int8").exit_code == 0
    assert path.stat().st_size < len(content)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--method", "scclip"], "--method: scclip is no fixed graph"),
        (["--window", "63"], "--window: 63 x 63 pixels"),
        (["--window", "99999"], "--window: 99999 x 99999 pixels"),
        (["--method-option", "nonsense=1"], "nonsense"),
        (["-o", "nowhere/x.onnx"], "the folder does not exist"),
    ],
    ids=str,
)
def test_what_cannot_be_exported(options, said, rsclip, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = rsclip("models", "export", "nano", "-o", "x.onnx", *options)
    assert result.exit_code == 2
    assert said in result.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("options", [[], ["--int8"]], ids=str)
def test_an_export_that_fails_has_a_remedy_of_its_own(options, rsclip, tmp_path, monkeypatch):
    def fail(*_args, **_options):
        raise RuntimeError("no room")

    monkeypatch.setattr(torch.onnx, "export", fail)
    if options:
        monkeypatch.setattr(onnx_engine, "_export", lambda *_: b"no graph")
    result = rsclip("models", "export", "nano", "-o", tmp_path / "x.onnx", *options)
    assert result.exit_code == 1
    assert "quantized to int8" in result.stderr if options else "(no room)" in result.stderr
    assert "Try a smaller --window or another --method" in result.stderr
    assert "--engine" not in result.stderr
    assert ("--int8" in result.stderr) == bool(options)
    assert not list(tmp_path.iterdir())
