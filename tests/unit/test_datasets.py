"""Data sets: what they hold, and how their files are found, downloaded and checked."""

from __future__ import annotations

import hashlib
import http.server
import os
import threading
from pathlib import Path

import numpy as np
import pytest

from neko import datasets
from neko.datasets import fetch

CONTENT = bytes(range(256)) * 64
DIGEST = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def server():
    """A server on loopback with a good, a corrupt, a truncated and a missing file; it counts requests."""
    seen = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            seen.append(self.path)
            if self.path == "/missing":
                self.send_error(404)
                return
            body = CONTENT if self.path != "/corrupt" else CONTENT[:-1] + b"x"
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body[:100] if self.path == "/truncated" else body)

        def log_message(self, *arguments):
            pass

    httpd = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=httpd.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{httpd.server_port}/", seen
    httpd.shutdown()
    thread.join()
    httpd.server_close()


@pytest.fixture
def empty(monkeypatch, tmp_path):
    """No data folder and an empty cache."""
    monkeypatch.delenv("NEKO_DATA", raising=False)
    monkeypatch.setenv("NEKO_CACHE", str(tmp_path / "cache"))
    return tmp_path


def test_a_download_is_checked_kept_and_not_repeated(server, empty):
    url, seen = server
    path = fetch.find("set/file.bin", DIGEST, (url + "good",))
    assert path == empty / "cache" / "set" / "file.bin"
    assert path.read_bytes() == CONTENT
    assert fetch.find("set/file.bin", DIGEST, (url + "good",)) == path
    assert seen == ["/good"]


def test_a_bad_mirror_is_passed_over(server, empty):
    url, seen = server
    mirrors = tuple(url + name for name in ("missing", "corrupt", "truncated", "good"))
    assert fetch.find("set/file.bin", DIGEST, mirrors).read_bytes() == CONTENT
    assert seen == ["/missing", "/corrupt", "/truncated", "/good"]


@pytest.mark.parametrize("fault", ["missing", "corrupt", "truncated"])
def test_a_failure_leaves_nothing_behind_and_says_what_to_do(server, empty, fault):
    with pytest.raises(OSError, match=r"set/file.bin.*NEKO_DATA=None.*set NEKO_DATA to a folder"):
        fetch.find("set/file.bin", DIGEST, (server[0] + fault,))
    assert not [p for p in empty.rglob("*") if p.is_file()]


def test_the_data_folder_comes_first_and_is_checked(server, empty, monkeypatch):
    monkeypatch.setenv("NEKO_DATA", str(empty))
    (empty / "set").mkdir()
    (empty / "set" / "file.bin").write_bytes(CONTENT)
    assert fetch.find("set/file.bin", DIGEST, (server[0] + "good",)) == empty / "set" / "file.bin"
    (empty / "set" / "file.bin").write_bytes(CONTENT[:-1])
    with pytest.raises(ValueError, match="expected '" + DIGEST):
        fetch.find("set/file.bin", DIGEST, (server[0] + "good",))
    assert server[1] == []


def test_digits_are_split_evenly_over_classes():
    data = datasets.load("digits")
    assert data.x_train.shape == (1433, 8, 8)
    assert data.x_test.shape == (364, 8, 8)
    assert data.x_train.dtype == np.float32
    assert (data.x_train.min(), data.x_train.max()) == (0.0, 1.0)
    counts = np.bincount(data.y_test)
    assert counts.max() - counts.min() <= 2
    np.testing.assert_array_equal(data.one_hot().y_test.argmax(axis=1), data.y_test)


@pytest.mark.skipif(
    not (Path(os.environ.get("NEKO_DATA") or "/none") / "mnist").is_dir(), reason="NEKO_DATA holds no mnist"
)
def test_mnist_is_the_original():
    data = datasets.load("mnist")
    assert data.x_train.shape == (60000, 28, 28)
    assert data.x_test.shape == (10000, 28, 28)
    assert np.bincount(data.y_train).tolist() == [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    assert np.bincount(data.y_test).tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    assert data.x_train.max() == 1.0


def test_an_unknown_name_lists_the_right_ones():
    with pytest.raises(ValueError, match="'digits', 'mnist'"):
        datasets.load("minst")
