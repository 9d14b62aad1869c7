import hashlib
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from optuna_snn.objectives.datasets import downloads
from optuna_snn.objectives.datasets.downloads import DownloadError, fetch

CONTENT = b"some bytes" * 100
MD5 = hashlib.md5(CONTENT, usedforsecurity=False).hexdigest()


class Server(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        if self.path == "/missing":
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(CONTENT)))
        self.end_headers()
        if self.path == "/broken":
            self.wfile.write(CONTENT[:10])
        elif self.path == "/other":
            self.wfile.write(CONTENT[::-1])
        else:
            self.wfile.write(CONTENT)

    def log_message(self, format: str, *args: object) -> None:
        """Keep the tests' output clean."""


@pytest.fixture
def server() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Server) as httpd:
        thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{httpd.server_port}"
        httpd.shutdown()
        thread.join()


def test_the_first_address_that_gives_the_file_is_taken(server: str, tmp_path: Path) -> None:
    path = tmp_path / "new" / "file"
    fetch([f"{server}/{name}" for name in ("missing", "broken", "other", "good")], path, md5=MD5)
    assert path.read_bytes() == CONTENT
    assert list(path.parent.iterdir()) == [path]


def test_what_happened_at_each_address_is_said_and_nothing_is_left(
    server: str, tmp_path: Path
) -> None:
    with pytest.raises(DownloadError, match=r"missing: .*404.*; .*other: its MD5 sum is .*"):
        fetch([f"{server}/missing", f"{server}/other"], tmp_path / "file", md5=MD5)
    assert not list(tmp_path.iterdir())


def test_a_silent_server_is_left_after_the_timeout(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"http://127.0.0.1:{silent.getsockname()[1]}/file"
        with pytest.raises(DownloadError, match="timed out"):
            fetch([address], tmp_path / "file", md5=MD5, timeout_s=0.05)


def test_an_endless_file_is_cut_off(
    server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(downloads, "MAX_BYTES", len(CONTENT) - 1)
    with pytest.raises(DownloadError, match=f"more than {len(CONTENT) - 1} bytes"):
        fetch([f"{server}/good"], tmp_path / "file", md5=MD5)


def test_a_server_that_is_not_there_is_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        address = f"http://127.0.0.1:{closed.getsockname()[1]}/file"
    with pytest.raises(DownloadError, match=address):
        fetch([address], tmp_path / "file", md5=MD5)
