"""`rsclip models fetch` against a local server that stands for the hub."""

import hashlib
import http.server
import io
import json
import os
import shutil
import subprocess
import sys
import threading
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save

from rsclip.errors import ModelError, RsclipWarning, RunError
from rsclip.model import load_backbone
from rsclip.model.open_clip_import import import_open_clip
from rsclip.model.weights import download
from rsclip.model.weights.download import remote_file
from rsclip.model.weights.fetch import fetch_weights
from rsclip.model.weights.names import parse_name
from rsclip.model.weights.origin import cached_weights, known_sha256, verified_sha256
from rsclip.model.weights.registry import read_registry, vits
from rsclip.model.weights.second import find_second_vit, load_second_vit
from rsclip_cli.progress import DownloadLines

REPOSITORY = "timm/vit_base_patch16_clip_224.openai"
FILE = f"/{REPOSITORY}/resolve/main/open_clip_model.safetensors"
CONFIG = f"/{REPOSITORY}/resolve/main/open_clip_config.json"
STATED = json.dumps({"model_cfg": {"embed_dim": 1, "vision_cfg": {}, "text_cfg": {}}}).encode()
WEIGHTS = save({"a": torch.arange(300_000, dtype=torch.float32)})


real_sleep = time.sleep


class Hub(http.server.BaseHTTPRequestHandler):
    """Answers as the hub does: redirect-free, with ranges, tags and commits."""

    protocol_version = "HTTP/1.1"

    def do_HEAD(self):
        self.answer(body=False)

    def do_GET(self):
        self.answer(body=True)

    def answer(self, body):
        server = self.server
        content = server.files.get(self.path)
        server.asked.append((self.command, self.path))
        if not body:
            real_sleep(server.slow)
        busy = {**server.busy, **(server.busy_bodies if body else {})}
        if self.path in busy:
            self.send_response(busy[self.path])
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        if self.path in server.moved:
            # As the hub answers for large files: the facts at once, the bytes elsewhere.
            self.send_response(302)
            self.send_header("Location", server.moved[self.path])
            content = server.files["/" + server.moved[self.path].split("/", 3)[3]]
            self.send_header("X-Linked-Etag", f'"{hashlib.sha256(content).hexdigest()}"')
            self.send_header("X-Linked-Size", str(len(content)))
            self.send_header("X-Repo-Commit", "a" * 40)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        begin = 0
        asked = self.headers.get("Range")
        if content is None:
            self.send_response(404)
            self.send_header("X-Error-Code", "EntryNotFound")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        if asked and body:
            begin = int(asked.removeprefix("bytes=").partition("-")[0])
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {begin}-{len(content) - 1}/{len(content)}")
        else:
            self.send_response(200)
        etag = server.etags.get(self.path) or hashlib.sha256(content).hexdigest()
        for key, value in {"ETag": f'"{etag}"', "X-Repo-Commit": "a" * 40}.items():
            if key not in server.without:
                self.send_header(key, value)
        self.send_header("Content-Length", str(len(content) - begin))
        self.end_headers()
        if body:
            server.begins.append(begin)
            sent = content[begin:]
            if server.stall:
                self.wfile.write(sent[: server.stall])
                server.stalled.set()
                server.go_on.wait(60)
                return
            if server.cuts:
                sent = sent[: server.cuts.pop(0)]
                self.close_connection = True
            self.wfile.write(sent)

    def log_message(self, *_):
        pass


@pytest.fixture
def online(monkeypatch, tmp_path):
    """An empty hub cache, offline mode off; return a function that points to an endpoint."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    # Small enough that a lost connection leaves something: the hub's client writes whole chunks.
    monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", 50_000)
    monkeypatch.setattr(time, "sleep", lambda seconds: None)
    return lambda endpoint: (
        monkeypatch.setattr(constants, "ENDPOINT", endpoint),
        monkeypatch.setattr(
            constants,
            "HUGGINGFACE_CO_URL_TEMPLATE",
            endpoint + "/{repo_id}/resolve/{revision}/{filename}",
        ),
    )


@pytest.fixture
def hub(online):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    # Path -> content; path -> tag in place of the true hash; bytes after which to hang up; what
    # position each body began at.
    server.files, server.etags, server.cuts, server.begins = {FILE: WEIGHTS}, {}, [], []
    # Path -> address that it redirects to.
    server.moved = {}
    # Path -> status that it is refused with; headers left out; seconds before an answer; requests.
    server.busy, server.without, server.slow, server.asked = {}, (), 0, []
    # As busy, for bodies alone: the facts are given.
    server.busy_bodies = {}
    # Bytes after which to fall silent without hanging up.
    server.stall, server.stalled, server.go_on = 0, threading.Event(), threading.Event()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    server.url = f"http://127.0.0.1:{server.server_port}"
    online(server.url)
    yield server
    server.shutdown()
    server.server_close()


def test_weights_come_into_the_hubs_own_cache(hub, tmp_path):
    path = fetch_weights("ViT-B-16/openai")
    assert path.read_bytes() == WEIGHTS
    assert path == cached_weights(parse_name("ViT-B-16/openai"))
    digest = hashlib.sha256(WEIGHTS).hexdigest()
    folder = tmp_path / "hub" / f"models--{REPOSITORY.replace('/', '--')}"
    assert path.resolve() == (folder / "blobs" / digest).resolve()
    assert (folder / "refs" / "main").read_text() == "a" * 40
    assert not list(folder.rglob("*.rsclip-*"))


def test_bytes_that_lie_on_another_server(hub):
    # Another name is another host to a client.
    hub.moved[FILE] = hub.url.replace("127.0.0.1", "localhost") + "/cdn/blob"
    hub.files = {"/cdn/blob": WEIGHTS}
    hub.etags["/cdn/blob"] = "a-tag-of-its-own"
    hub.cuts = [100_000]
    path = fetch_weights("ViT-B-16/openai")
    assert path.read_bytes() == WEIGHTS
    assert path.resolve().name == hashlib.sha256(WEIGHTS).hexdigest()
    assert hub.begins == [0, 100_000]


def test_what_is_here_and_whole_is_not_fetched_again(hub):
    fetch_weights("ViT-B-16/openai")
    hub.begins.clear()
    hub.shutdown()
    assert fetch_weights("ViT-B-16/openai").read_bytes() == WEIGHTS
    assert hub.begins == []


def test_a_fetch_that_breaks_off_leaves_no_weights_without_their_config(hub):
    """Without the config, nothing would check that the name's activation is the weights'."""
    hub.files[CONFIG] = STATED
    hub.busy[CONFIG] = 503
    with pytest.raises(ModelError, match=r"answers 503: it is busy.*later"):
        fetch_weights("ViT-B-16/openai")
    assert cached_weights(parse_name("ViT-B-16/openai")) is None
    hub.busy.clear()
    path = fetch_weights("ViT-B-16/openai")
    assert path.with_name("open_clip_config.json").read_bytes() == STATED


def test_weights_that_came_without_their_config_are_completed(hub):
    path = fetch_weights("ViT-B-16/openai")
    # As another program, which fetches the weights alone, leaves its cache.
    shutil.rmtree(path.parents[2] / ".no_exist")
    pinned = CONFIG.replace("main", "a" * 40)
    hub.files[pinned] = STATED
    hub.busy[pinned] = 503
    with pytest.warns(RsclipWarning, match=r"config is not.*answers 503"):
        assert fetch_weights("ViT-B-16/openai") == path
    hub.busy.clear()
    assert fetch_weights("ViT-B-16/openai") == path
    assert path.with_name("open_clip_config.json").read_bytes() == STATED
    hub.asked.clear()
    assert fetch_weights("ViT-B-16/openai") == path
    assert hub.asked == []


@pytest.mark.parametrize("missing", ["ETag", "X-Repo-Commit"])
def test_what_answers_like_no_hub_is_not_taken_for_one(hub, tmp_path, missing):
    hub.without = (missing,)
    with pytest.raises(ModelError, match=r"is not a model hub.*a proxy or a login page"):
        fetch_weights("ViT-B-16/openai")
    assert {command for command, _ in hub.asked} == {"HEAD"}
    assert not list((tmp_path / "hub").rglob("*"))


def test_one_answer_about_a_file_is_enough(hub):
    fetch_weights("ViT-B-16/openai")
    assert hub.asked.count(("HEAD", FILE)) == 1


@pytest.mark.parametrize("status", [429, 503])
def test_a_busy_server_is_not_taken_for_none(hub, status):
    hub.busy[FILE] = status
    with pytest.raises(ModelError, match=f"answers {status}.*[Ll]ater") as caught:
        fetch_weights("ViT-B-16/openai")
    assert "network" not in str(caught.value)
    hub.busy["/busy.zip"] = status
    with pytest.raises(ModelError, match=f"answers {status}.*[Ll]ater"):
        remote_file(f"{hub.url}/busy.zip", "busy")


@pytest.mark.parametrize("status", [401, 403])
def test_a_server_that_refuses_is_not_taken_for_none(hub, status):
    hub.busy[FILE] = status
    with pytest.raises(
        ModelError, match=rf"hub refuses access \({status}\).*auth login.*proxy"
    ) as caught:
        fetch_weights("ViT-B-16/openai")
    assert "network" not in str(caught.value)
    hub.busy["/closed.zip"] = status
    with pytest.raises(
        ModelError, match=rf"server refuses access \({status}\).*closed\.zip.*proxy"
    ):
        remote_file(f"{hub.url}/closed.zip", "closed")


@pytest.mark.parametrize(
    ("status", "said"),
    [(429, "answers 429: it is busy.*later"), (503, "answers 503: it is busy.*later"),
     (403, r"server refuses access \(403\)")],
)  # fmt: skip
def test_a_server_that_gives_the_facts_but_not_the_bytes(hub, status, said):
    hub.busy_bodies[FILE] = status
    with pytest.raises(ModelError, match=said) as caught:
        fetch_weights("ViT-B-16/openai")
    assert caught.value.exit_code == 2
    hub.busy_bodies.clear()
    assert fetch_weights("ViT-B-16/openai").read_bytes() == WEIGHTS


def test_a_slow_server_is_waited_for_where_it_is_asked_for(hub, monkeypatch):
    from huggingface_hub import constants

    monkeypatch.setattr(download, "_ANSWER_SECONDS", 0.1)
    hub.slow = 0.6
    with pytest.raises(ModelError, match="HF_HUB_ETAG_TIMEOUT=9"):
        fetch_weights("ViT-B-16/openai")
    monkeypatch.setenv("HF_HUB_ETAG_TIMEOUT", "20")
    monkeypatch.setattr(constants, "HF_HUB_ETAG_TIMEOUT", 20)
    assert fetch_weights("ViT-B-16/openai").read_bytes() == WEIGHTS
    assert download.answer_seconds() == 9


def test_a_full_disk_keeps_what_has_come(hub, small_disk, monkeypatch):
    from huggingface_hub import constants

    folder = small_disk(256)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(folder))
    with pytest.raises(ModelError, match=rf"cannot write into {folder}.*Make room .*goes on"):
        fetch_weights("ViT-B-16/openai")
    (part,) = folder.rglob("*.rsclip-part")
    assert part.stat().st_size > 100_000
    small_disk(4096)
    assert fetch_weights("ViT-B-16/openai").read_bytes() == WEIGHTS
    assert hub.begins[1] > 100_000


def test_without_a_terminal_a_line_a_tenth_tells_how_far_it_is(hub, rsclip):
    done = rsclip("models", "fetch", "ViT-B-16/openai")
    assert done.exit_code == 0, done.output
    lines = done.stderr.splitlines()
    assert lines[-1] == "fetched 1 of 1 MB (100 %)"
    assert 5 < len(lines) < 12
    assert len(done.stdout.splitlines()) == 1


def test_an_interrupted_command_says_what_is_kept(hub, rsclip, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(DownloadLines, "__call__", interrupt)
    done = rsclip("models", "fetch", "ViT-B-16/openai")
    assert done.exit_code == 1
    assert "kept. Run it again: it goes on where it stopped" in done.stderr
    assert "left behind" not in done.stderr


def test_offline_mode_holds_for_every_address(hub, tmp_path, monkeypatch):
    from huggingface_hub import constants

    registry = tmp_path / "models.yaml"
    registry.write_text(
        f"models:\n  sky: {{arch: ViT-B-32, quick_gelu: false, url: '{hub.url}/sky.pt'}}\n"
    )
    monkeypatch.setenv("RSCLIP_MODELS", str(registry))
    monkeypatch.setenv("RSCLIP_CACHE", str(tmp_path / "own"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    for name in ("sky", "ViT-B-16/openai"):
        with pytest.raises(ModelError, match="HF_HUB_OFFLINE forbids downloads"):
            fetch_weights(name)
    assert hub.asked == []


def test_a_damaged_file_in_the_cache_is_replaced(hub):
    path = fetch_weights("ViT-B-16/openai")
    blob = path.resolve()
    blob.write_bytes(blob.read_bytes()[:-100])
    assert fetch_weights("ViT-B-16/openai").read_bytes() == WEIGHTS
    assert hub.begins == [0, 0]


def test_a_lost_connection_is_taken_up_within_one_call(hub):
    hub.cuts = [100_000, 50_000]
    assert fetch_weights("ViT-B-16/openai").read_bytes() == WEIGHTS
    assert hub.begins == [0, 100_000, 150_000]


def test_an_interrupted_download_goes_on_in_the_next_call(hub, tmp_path, monkeypatch):
    hub.cuts = [200_000, *[0] * 20]
    with pytest.raises(RunError, match=r"broke off.*goes on where it stopped") as caught:
        fetch_weights("ViT-B-16/openai")
    assert caught.value.exit_code == 1
    assert cached_weights(parse_name("ViT-B-16/openai")) is None
    (part,) = (tmp_path / "hub").rglob("*.rsclip-part")
    assert part.stat().st_size == 200_000
    hub.cuts, hub.begins = [], []
    assert fetch_weights("ViT-B-16/openai").read_bytes() == WEIGHTS
    assert hub.begins == [200_000]


def test_fetches_at_once_all_succeed_and_download_once(hub, tmp_path):
    hub.files[FILE] = save({"a": torch.arange(12_000_000, dtype=torch.float32)})
    code = "from rsclip_cli.main import main; main()"
    environment = {**os.environ, "HF_HUB_OFFLINE": "0", "HF_ENDPOINT": hub.url,
                   "HF_HUB_CACHE": str(tmp_path / "hub")}  # fmt: skip
    running = [
        subprocess.Popen([sys.executable, "-c", code, "models", "fetch", "ViT-B-16/openai"],
                         env=environment, stderr=subprocess.PIPE, text=True)
        for _ in range(3)
    ]  # fmt: skip
    for process in running:
        said = process.communicate(timeout=600)[1]
        assert process.returncode == 0, said
    assert hub.begins.count(0) == len(hub.begins) == 1


def test_fetches_at_once_from_outside_the_hub_download_once(hub, tmp_path, monkeypatch):
    hub.files["/sky.pt"] = WEIGHTS
    hub.slow = 0.1
    registry = tmp_path / "models.yaml"
    registry.write_text(
        f"models:\n  sky:\n    arch: ViT-B-32\n    quick_gelu: false\n    url: {hub.url}/sky.pt\n"
    )
    monkeypatch.setenv("RSCLIP_MODELS", str(registry))
    monkeypatch.setenv("RSCLIP_CACHE", str(tmp_path / "own"))
    read_registry.cache_clear()
    with ThreadPoolExecutor(3) as pool:
        paths = list(pool.map(fetch_weights, ["sky"] * 3))
    assert [path.read_bytes() for path in paths] == [WEIGHTS] * 3
    assert hub.begins == [0]
    assert sorted(each.name for each in paths[0].parent.iterdir()) == ["sky.pt", "sky.pt.sha256"]


def test_a_killed_fetch_goes_on_in_another_process(hub, tmp_path):
    """From the command line and the environment alone: HF_ENDPOINT stands for the hub."""
    content = np.random.default_rng(0).bytes(30 << 20)
    hub.files[FILE] = content
    hub.stall = 25 << 20
    environment = {
        **{key: value for key, value in os.environ.items() if key != "HF_HUB_OFFLINE"},
        "HF_ENDPOINT": hub.url,
        "HF_HUB_CACHE": str(tmp_path / "hub"),
    }
    command = [sys.executable, "-c", "from rsclip_cli.main import main; main()", "models", "fetch",
               "ViT-B-16/openai"]  # fmt: skip
    process = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE)
    assert hub.stalled.wait(60)
    parts = []
    while not parts or parts[0].stat().st_size < 20 << 20:
        assert process.poll() is None
        parts = list((tmp_path / "hub").rglob("*.rsclip-part"))
    process.kill()
    process.communicate()
    hub.go_on.set()
    hub.stall = 0
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    path = Path(done.stdout.strip())
    assert path.read_bytes() == content
    assert hub.begins[0] == 0
    assert hub.begins[1] >= 20 << 20


def test_a_wrong_hash_is_refused_and_thrown_away(hub, tmp_path):
    hub.etags[FILE] = "0" * 64
    with pytest.raises(ModelError, match="does not match its hash 0000") as caught:
        fetch_weights("ViT-B-16/openai")
    assert caught.value.exit_code == 2
    assert cached_weights(parse_name("ViT-B-16/openai")) is None
    assert not [path for path in (tmp_path / "hub").rglob("*") if path.is_file()]


def test_a_part_of_other_bytes_is_found_out(hub, tmp_path):
    """A part that does not belong to the file cannot end as its beginning."""
    digest = hashlib.sha256(WEIGHTS).hexdigest()
    blobs = tmp_path / "hub" / f"models--{REPOSITORY.replace('/', '--')}" / "blobs"
    blobs.mkdir(parents=True)
    (blobs / f"{digest}.rsclip-part").write_bytes(b"x" * 1000)
    with pytest.raises(ModelError, match="does not match its hash"):
        fetch_weights("ViT-B-16/openai")
    assert fetch_weights("ViT-B-16/openai").read_bytes() == WEIGHTS


def test_a_cache_that_is_not_writable(hub, tmp_path):
    (tmp_path / "hub").write_text("a file where the folder should be")
    with pytest.raises(ModelError, match=r"cannot write into .*hub.*HF_HUB_CACHE") as caught:
        fetch_weights("ViT-B-16/openai")
    assert caught.value.exit_code == 2


def test_a_repository_of_ones_own(hub):
    config = json.dumps({"model_cfg": {}}).encode()
    sha1 = hashlib.sha1(b"blob %d\0" % len(config) + config).hexdigest()
    prefix = "/me/mine/resolve/main/"
    hub.files[prefix + "open_clip_config.json"] = config
    hub.files[prefix + "open_clip_model.safetensors"] = WEIGHTS
    hub.etags[prefix + "open_clip_config.json"] = sha1
    with pytest.raises(ModelError, match="does not describe an architecture"):
        # Its architecture is looked at before its gigabytes come.
        fetch_weights("hf-hub:me/mine")
    assert len(hub.begins) == 1
    with pytest.raises(ModelError, match="not in open_clip's form"):
        fetch_weights("hf-hub:me/nothing")


def test_an_archive_outside_the_hub(hub, tmp_path, monkeypatch):
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("SkyCLIP/epoch_20.pt", b"pretend weights")
        file.writestr("SkyCLIP/params.txt", b"text")
    hub.files["/sky.zip"] = archive.getvalue()
    registry = tmp_path / "models.yaml"
    registry.write_text(
        "models:\n  sky:\n    arch: ViT-B-32\n    quick_gelu: false\n"
        f"    url: {hub.url}/sky.zip\n    member: '*.pt'\n"
    )
    monkeypatch.setenv("RSCLIP_MODELS", str(registry))
    monkeypatch.setenv("RSCLIP_CACHE", str(tmp_path / "own"))
    read_registry.cache_clear()
    path = fetch_weights("sky")
    assert path.read_bytes() == b"pretend weights"
    assert sorted(each.name for each in path.parent.iterdir()) == ["sky.pt", "sky.pt.sha256"]
    # Its hash is known from now on: damage is seen, by a run and by the next fetch.
    whole = hashlib.sha256(b"pretend weights").hexdigest()
    assert known_sha256(path) == verified_sha256(path, "sky") == whole
    path.write_bytes(b"pretend weightz")
    with pytest.raises(ModelError, match=r"damaged.*rsclip models fetch sky"):
        load_backbone("sky")
    assert fetch_weights("sky").read_bytes() == b"pretend weights"
    # A registry that knows the hash accepts no other file.
    registry.write_text(registry.read_text() + f"    sha256: '{'0' * 64}'\n")
    read_registry.cache_clear()
    path.unlink()
    with pytest.raises(ModelError, match=f"has the SHA-256 {whole}, not 0000"):
        fetch_weights("sky")
    assert list(path.parent.glob("*.pt")) == []
    assert list(path.parent.glob(".*.new")) == list(path.parent.glob("*.download")) == []
    registry.write_text(registry.read_text().replace("0" * 64, whole))
    read_registry.cache_clear()
    fetch_weights("sky")
    # The registry learns of another hash afterwards: what is here is no longer it.
    registry.write_text(registry.read_text().replace(whole, "1" * 64))
    read_registry.cache_clear()
    with pytest.raises(ModelError, match="do not have the SHA-256 that the model registry"):
        load_backbone("sky")
    with pytest.raises(ModelError, match=f"has the SHA-256 {whole}, not 1111"):
        fetch_weights("sky")
    assert path.read_bytes() == b"pretend weights"
    registry.write_text(registry.read_text().replace("1" * 64, whole))
    read_registry.cache_clear()
    hub.files.clear()
    assert fetch_weights("sky") == path
    path.unlink()
    with pytest.raises(ModelError, match="does not answer"):
        fetch_weights("sky")
    hub.files["/sky.zip"] = archive.getvalue()[:-40]
    with pytest.raises(ModelError, match="archive is damaged"):
        fetch_weights("sky")


def test_a_hash_in_the_registry_holds_for_the_hub_too(hub, tmp_path, monkeypatch):
    hub.files["/me/mine/resolve/main/w.pt"] = WEIGHTS
    registry = tmp_path / "models.yaml"

    def state(digest):
        registry.write_text(
            "models:\n  mine:\n    arch: ViT-B-32\n    quick_gelu: false\n"
            f"    repository: me/mine\n    file: w.pt\n    sha256: '{digest}'\n"
        )
        read_registry.cache_clear()

    monkeypatch.setenv("RSCLIP_MODELS", str(registry))
    state("0" * 64)
    for _ in range(2):
        with pytest.raises(
            ModelError, match=r"the file from me/mine has the SHA-256 \w+, not 0000"
        ):
            fetch_weights("mine")
    with pytest.raises(ModelError, match="do not have the SHA-256 that the model registry"):
        load_backbone("mine")
    state(hashlib.sha256(WEIGHTS).hexdigest())
    assert fetch_weights("mine").read_bytes() == WEIGHTS


@pytest.mark.parametrize("blocked", ["own", "own/models", "own/models/sky.pt.sha256"])
def test_a_cache_of_rsclips_own_that_is_not_writable(hub, tmp_path, monkeypatch, blocked):
    hub.files["/sky.pt"] = WEIGHTS
    registry = tmp_path / "models.yaml"
    registry.write_text(
        f"models:\n  sky:\n    arch: ViT-B-32\n    quick_gelu: false\n    url: {hub.url}/sky.pt\n"
    )
    monkeypatch.setenv("RSCLIP_MODELS", str(registry))
    monkeypatch.setenv("RSCLIP_CACHE", str(tmp_path / "own"))
    read_registry.cache_clear()
    path = tmp_path / blocked
    path.parent.mkdir(parents=True, exist_ok=True)
    # A folder where a file should be, or the other way round: root may write anywhere.
    path.mkdir() if path.suffix else path.write_text("in the way")
    with pytest.raises(ModelError, match=r"cannot (write into|be put|be moved)") as caught:
        fetch_weights("sky")
    assert caught.value.exit_code == 2
    assert not (tmp_path / "own" / "models" / "sky.pt").exists()


def test_the_variable_that_forbids_downloads_is_named(hub, monkeypatch):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(ModelError, match="HF_HUB_OFFLINE forbids"):
        fetch_weights("ViT-B-16/openai")
    assert hub.begins == []


def test_no_network_fails_fast_with_the_ways_out(online):
    online("http://127.0.0.1:9")  # the discard port: nobody listens
    began = time.monotonic()
    with pytest.raises(ModelError, match="does not answer") as caught:
        fetch_weights("ViT-B-16/openai")
    assert time.monotonic() - began < 60
    for way in ("weights", "nano", "bundle"):
        assert way in str(caught.value)


def test_a_silent_server_fails_fast(online):
    import socket

    with socket.create_server(("127.0.0.1", 0)) as server:
        online(f"http://127.0.0.1:{server.getsockname()[1]}")
        began = time.monotonic()
        with pytest.raises(ModelError, match="does not answer"):
            fetch_weights("ViT-B-16/openai")
    assert time.monotonic() - began < 60


@pytest.mark.parametrize("name", ["nano", "ViT-B-16"])
def test_only_names_with_weights_can_be_fetched(name):
    with pytest.raises(ModelError, match=r"has no weights to download.*ARCH/TAG"):
        fetch_weights(name)


def test_what_cannot_serve_is_not_fetched(hub):
    with pytest.raises(ModelError, match="ResNet"):
        fetch_weights("RN50/openai")
    assert hub.begins == []


def test_an_unknown_name_suggests_the_nearest(rsclip):
    done = rsclip("models", "fetch", "ViT-B-16/openay")
    assert done.exit_code == 2
    assert "openai" in done.stderr


def test_a_second_vit_is_fetched_as_a_clip_is(hub, tmp_path):
    import_open_clip()
    import timm

    row = vits()["dino-vits16"]
    with pytest.raises(ModelError, match=r"not on this machine.*rsclip models fetch dino-vits16"):
        find_second_vit(row.name)
    torch.manual_seed(0)
    weights = timm.create_model(row.timm, pretrained=False, num_classes=0).half().state_dict()
    file = f"/{row.repository}/resolve/main/model.safetensors"
    hub.files = {file: save(weights)}
    hub.cuts = [20_000_000]
    path = fetch_weights(row.name)
    # Broken off once, it went on where it was; no config is asked for, as timm has none.
    assert hub.begins == [0, 20_000_000]
    assert {asked for _, asked in hub.asked if row.repository in asked} == {file}
    digest = hashlib.sha256(hub.files[file]).hexdigest()
    assert path.resolve() == (
        tmp_path / "hub" / f"models--{row.repository.replace('/', '--')}" / "blobs" / digest
    )
    assert find_second_vit(row.name) == (row, path)
    loaded = load_second_vit(row.name)
    assert loaded.weights_sha256 == digest
    torch.testing.assert_close(
        loaded.model.state_dict()["patch_embed.proj.weight"],
        weights["patch_embed.proj.weight"].float(),
    )
    hub.begins.clear()
    assert fetch_weights(row.name) == path
    assert hub.begins == []


def test_a_second_vit_that_its_repository_does_not_hold(hub):
    hub.files = {}
    with pytest.raises(ModelError, match=r"vit_small_patch16_224\.dino"):
        fetch_weights("dino-vits16")
    assert cached_weights(parse_name("dino-vits16")) is None
