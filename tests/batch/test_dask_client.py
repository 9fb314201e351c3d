"""An address where no dask scheduler is: refused in time, whatever answers there."""

import contextlib
import http.server
import socket
import subprocess
import sys
import threading

import numpy as np
import pytest

from rsclip.batch.dask_client import connect, with_deadline
from rsclip.errors import OptionError
from tests.rasters import write_raster

pytest.importorskip("distributed")


@contextlib.contextmanager
def answering(handle):
    """A port of this machine where every connection is handled by a function."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        kept = []

        def serve():
            with contextlib.suppress(OSError):
                while True:
                    kept.append(server.accept()[0])
                    handle(kept[-1])

        threading.Thread(target=serve, daemon=True).start()
        yield f"tcp://127.0.0.1:{server.getsockname()[1]}"
        for connection in kept:
            connection.close()


@contextlib.contextmanager
def web_server():
    with http.server.HTTPServer(("127.0.0.1", 0), http.server.SimpleHTTPRequestHandler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"tcp://127.0.0.1:{server.server_port}"
        server.shutdown()


def batch(scene, out, address):
    """Run the command; return its exit code and what it said."""
    command = [sys.executable, "-c", "from rsclip_cli.main import main; main()", "batch", scene,
               "--classes", "a, b", "-o", out, "--dask", address]  # fmt: skip
    # Far more than the deadline, for a busy machine; what waits for ever is ended.
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=300)
    return done.returncode, done.stderr


@pytest.mark.parametrize(
    ("who", "says"),
    [
        ("web server", "no answer within 5 s"),
        ("silent", "no answer within 5 s"),
        ("other protocol", "another program answers there"),
        ("word", "missing port"),
    ],
)
def test_whoever_answers_the_process_ends_with_one_message(tmp_path, who, says):
    scene = tmp_path / "a.tif"
    write_raster(scene, np.ones((3, 32, 32), "uint8"))
    servers = {
        "web server": web_server,
        "silent": lambda: answering(lambda connection: None),
        "other protocol": lambda: answering(lambda one: one.sendall(b"HTTP/1.1 400 No\r\n" * 9)),
        "word": lambda: contextlib.nullcontext("nonsense"),
    }
    with servers[who]() as address:
        code, said = batch(scene, tmp_path / "out", address)
    assert code == 2, said
    assert says in said
    assert len(said.splitlines()) == 1, said


def test_a_worker_is_no_scheduler(tmp_path):
    import distributed

    with distributed.LocalCluster(
        n_workers=1, processes=False, dashboard_address=None, protocol="tcp",
        local_directory=str(tmp_path),
    ) as cluster:  # fmt: skip
        with pytest.raises(OptionError, match="there is a dask Worker"):
            connect(cluster.workers[0].address)
        with connect(cluster.scheduler_address) as client:
            assert client.submit(sum, [1, 2]).result() == 3


def test_within_returns_raises_or_gives_up():
    assert with_deadline(5, lambda: 3) == 3
    with pytest.raises(ZeroDivisionError):
        with_deadline(5, lambda: 1 // 0)
    never = threading.Event()
    with pytest.raises(TimeoutError):
        with_deadline(0.1, never.wait)
    never.set()
