"""`rsclip models fetch` against a local server that stands for the hub."""

import http.server
import threading
import time

import pytest

from rsclip.backbone.fetch import fetch_weights
from rsclip.errors import ModelError

WEIGHTS = b"pretend weights, 1 kB " * 50


class Hub(http.server.BaseHTTPRequestHandler):
    """Answers as the hub does for one repository with one file."""

    protocol_version = "HTTP/1.1"

    def do_HEAD(self):
        self.answer(body=False)

    def do_GET(self):
        self.answer(body=True)

    def answer(self, body):
        there = self.path.endswith("/open_clip_model.safetensors")
        content = WEIGHTS if there else b""
        self.send_response(200 if there else 404)
        if there:
            self.send_header("ETag", '"0123456789abcdef"')
            self.send_header("X-Repo-Commit", "a" * 40)
        else:
            self.send_header("X-Error-Code", "EntryNotFound")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if body:
            self.wfile.write(content)

    def log_message(self, *_):
        pass


@pytest.fixture
def online(monkeypatch, tmp_path):
    """An empty hub cache, offline mode off; return a function that points to an endpoint."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
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
    threading.Thread(target=server.serve_forever, daemon=True).start()
    online(f"http://127.0.0.1:{server.server_port}")
    yield server
    server.shutdown()
    server.server_close()


def test_weights_come_into_the_cache(hub, monkeypatch, tmp_path):
    from huggingface_hub import constants, file_download

    monkeypatch.setattr(file_download.constants, "HF_HUB_CACHE", constants.HF_HUB_CACHE)
    path = fetch_weights("ViT-B-16/openai")
    assert path.read_bytes() == WEIGHTS
    assert str(path).startswith(str(tmp_path))


def test_no_network_fails_fast_with_the_ways_out(online):
    online("http://127.0.0.1:9")  # the discard port: nobody listens
    began = time.monotonic()
    with pytest.raises(ModelError, match="does not answer") as caught:
        fetch_weights("ViT-B-16/openai")
    assert time.monotonic() - began < 10
    assert "--weights" in str(caught.value)
    assert "nano" in str(caught.value)


@pytest.mark.parametrize("name", ["nano", "ViT-B-16"])
def test_only_names_with_a_tag_can_be_fetched(name, monkeypatch, tmp_path):
    monkeypatch.setattr("rsclip.backbone.names.data_path", lambda *_: tmp_path)
    (tmp_path / "open_clip_config.json").write_text("{}")
    with pytest.raises(ModelError, match="only ARCH/TAG"):
        fetch_weights(name)


def test_an_unknown_name_suggests_the_nearest(rsclip):
    done = rsclip("models", "fetch", "ViT-B-16/openay")
    assert done.exit_code == 2
    assert "openai" in done.stderr
