"""Data files: found, or downloaded from servers that fail, truncate, corrupt, stall and change."""

from __future__ import annotations

import errno
import hashlib
import http.server
import os
import resource
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from neko.datasets import fetch
from neko.datasets.fetch import DataFile

CONTENT = np.random.default_rng(0).bytes(200_000)
OLD = np.random.default_rng(1).bytes(200_000)
SHA256 = "sha256:" + hashlib.sha256(CONTENT).hexdigest()
CUT = 100_000


class Server(http.server.ThreadingHTTPServer):
    """Answers the requests for a path by the behaviours in its name, one after the other, the last one for ever."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.seen: list[tuple[str, str | None]] = []
        self.sent: list[int] = []
        self.wake = threading.Event()

    def url(self, *behaviours):
        return f"http://127.0.0.1:{self.server_port}/{'/'.join(behaviours)}"

    def ranges(self):
        return [asked for _, asked in self.seen]


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        asked = self.headers.get("Range")
        behaviours = self.path.strip("/").split("/")
        turn = min(sum(path == self.path for path, _ in self.server.seen), len(behaviours) - 1)
        self.server.seen.append((self.path, asked))
        behaviour = behaviours[turn]
        if behaviour.isdigit():
            self.send_error(int(behaviour))
            return
        if behaviour == "mute":
            self.server.wake.wait(10)
            return
        body = OLD if behaviour.startswith("old") else CONTENT
        if behaviour == "corrupt":
            body = CONTENT[:-1] + bytes([CONTENT[-1] ^ 1])
        start = int(asked.removeprefix("bytes=").removesuffix("-")) if asked and behaviour != "whole" else 0
        if start >= len(body):
            self.send_error(416)
            return
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
        if behaviour != "cut-silently":
            self.send_header("Content-Length", str(len(body) - start))
        self.end_headers()
        end = CUT if behaviour.endswith(("cut", "cut-silently", "stall")) else len(body)
        if behaviour == "slow":
            time.sleep(0.5)
        self.server.sent.append(end - start)
        self.wfile.write(body[start:end])
        self.wfile.flush()
        if behaviour == "stall":
            self.server.wake.wait(30)

    def log_message(self, *arguments):
        pass


@pytest.fixture
def server():
    httpd = Server()
    thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield httpd
    httpd.wake.set()
    httpd.shutdown()
    thread.join()
    httpd.server_close()


@pytest.fixture(autouse=True)
def cache(monkeypatch, tmp_path):
    """No data folder, an empty cache, no pauses."""
    monkeypatch.delenv("NEKO_DATA", raising=False)
    monkeypatch.setenv("NEKO_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(fetch, "PAUSE", 0.0)
    monkeypatch.setattr(fetch, "TIMEOUT", 5.0)
    return tmp_path / "cache"


def file(*urls, **options):
    return DataFile("set/file.bin", (SHA256,), urls, **options)


def left(cache):
    """What lies in the cache, locks aside, and how long each file is."""
    return {p.name: p.stat().st_size for p in cache.rglob("*") if p.is_file() and p.suffix != ".lock"}


def test_a_download_is_checked_kept_and_not_repeated(server, cache):
    wanted = file(server.url("good"))
    assert fetch.place(wanted) == "not here"
    path = fetch.find(wanted)
    assert path == cache / "set" / "file.bin"
    assert path.read_bytes() == CONTENT
    assert fetch.find(wanted) == path
    assert fetch.place(wanted) == "cache"
    assert server.seen == [("/good", None)]
    assert left(cache) == {"file.bin": len(CONTENT)}


def test_a_damaged_file_in_the_cache_is_replaced(server, cache):
    (cache / "set").mkdir(parents=True)
    (cache / "set" / "file.bin").write_bytes(CONTENT[:-1])
    assert fetch.find(file(server.url("good"))).read_bytes() == CONTENT


def test_a_bad_mirror_is_passed_over(server, cache):
    mirrors = [server.url(name) for name in ("404", "500", "corrupt", "good")]
    assert fetch.find(file(*mirrors)).read_bytes() == CONTENT
    assert [path for path, _ in server.seen] == ["/404", "/500", "/corrupt", "/good"]


@pytest.mark.parametrize(
    ("behaviour", "fault"), [("404", "404"), ("500", "500"), ("corrupt", "wrong checksum"), ("mute", "timed out")]
)
def test_a_failure_names_each_source_and_the_remedy_and_leaves_nothing(server, cache, behaviour, fault, monkeypatch):
    monkeypatch.setattr(fetch, "TIMEOUT", 0.3 if behaviour == "mute" else 5.0)
    first, second = server.url(behaviour), server.url(behaviour, behaviour)
    with pytest.raises(OSError, match=r"set/file.bin.*NEKO_DATA=None.*set NEKO_DATA to a folder") as error:
        fetch.find(file(first, second))
    for url in (first, second):
        assert f"{url}: " in str(error.value)
    assert str(error.value).count(fault) >= 2
    assert left(cache) == {}
    rounds = 1 if behaviour in ("404", "corrupt") else fetch.ATTEMPTS
    assert len(server.seen) == 2 * rounds


def test_no_server_at_all_is_a_fault_of_the_source(server):
    with pytest.raises(OSError, match=r"no download worked.*refused"):
        fetch.find(file("http://127.0.0.1:1/file"))


def test_a_file_without_a_source_has_to_be_there():
    with pytest.raises(OSError, match="set NEKO_DATA to a folder that holds it"):
        fetch.find(file())


@pytest.mark.parametrize("behaviour", ["cut", "stall", "cut-silently"])
def test_what_broke_off_is_continued(server, cache, behaviour, monkeypatch):
    monkeypatch.setattr(fetch, "TIMEOUT", 1.0 if behaviour == "stall" else 5.0)
    assert fetch.find(file(server.url(behaviour, "good"), size=len(CONTENT))).read_bytes() == CONTENT
    (_, first), (_, second) = server.seen
    assert first is None
    start = int(second.removeprefix("bytes=").removesuffix("-"))
    assert CUT - fetch.CHUNK < start <= CUT
    assert server.sent == [CUT, len(CONTENT) - start]  # only the rest went over the wire
    assert left(cache) == {"file.bin": len(CONTENT)}


def test_a_later_call_and_another_mirror_continue(server, cache, monkeypatch):
    monkeypatch.setattr(fetch, "ATTEMPTS", 1)
    with pytest.raises(OSError, match="IncompleteRead"):
        fetch.find(file(server.url("cut")))
    held = left(cache)["file.bin.part"]
    assert held > CUT - fetch.CHUNK
    assert fetch.find(file(server.url("404"), server.url("good"))).read_bytes() == CONTENT
    assert server.ranges() == [None, f"bytes={held}-", f"bytes={held}-"]


def test_a_server_that_ignores_ranges_sends_all_again(server):
    assert fetch.find(file(server.url("cut", "whole"))).read_bytes() == CONTENT
    assert server.ranges()[1] is not None
    assert server.sent == [CUT, len(CONTENT)]


def test_a_file_that_changed_meanwhile_is_taken_anew(server, cache):
    assert fetch.find(file(server.url("old-cut", "good"))).read_bytes() == CONTENT
    first, second, third = server.ranges()
    assert (first, third) == (None, None)
    assert second.startswith("bytes=")
    assert left(cache) == {"file.bin": len(CONTENT)}


@pytest.mark.parametrize("size", [1, len(CONTENT) - 1, len(CONTENT), len(CONTENT) + 1])
def test_a_part_that_is_of_no_use_is_thrown_away(server, cache, size):
    (cache / "set").mkdir(parents=True)
    (cache / "set" / "file.bin.part").write_bytes(bytes(size))
    assert fetch.find(file(server.url("good"))).read_bytes() == CONTENT
    assert server.ranges() == [f"bytes={size}-", None]


def test_a_complete_part_only_needs_its_name(server, cache):
    (cache / "set").mkdir(parents=True)
    (cache / "set" / "file.bin.part").write_bytes(CONTENT)
    assert fetch.find(file(server.url("good"))).read_bytes() == CONTENT
    assert server.seen == []
    assert left(cache) == {"file.bin": len(CONTENT)}


def process(url):
    """Another process that wants the file."""
    code = (
        "import sys; from neko.datasets import fetch;"
        f"print(fetch.find(fetch.DataFile('set/file.bin', ({SHA256!r},), ({url!r},))))"
    )
    return subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)


def test_a_killed_process_leaves_what_the_next_one_continues(server, cache):
    url = server.url("stall", "good")
    killed = process(url)
    part = cache / "set" / "file.bin.part"
    deadline = time.monotonic() + 30
    while not (part.is_file() and part.stat().st_size > CUT - fetch.CHUNK):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    killed.kill()
    killed.communicate()
    held = part.stat().st_size
    assert fetch.find(file(url)).read_bytes() == CONTENT
    assert server.ranges() == [None, f"bytes={held}-"]


def test_two_processes_at_once_download_once(server, cache):
    both = [process(server.url("slow")) for _ in range(2)]
    outputs = [one.communicate(timeout=60)[0].strip() for one in both]
    assert outputs == [str(cache / "set" / "file.bin")] * 2
    assert server.seen == [("/slow", None)]
    assert (cache / "set" / "file.bin").read_bytes() == CONTENT


def test_a_full_disk_is_named_and_the_download_goes_on_later(server, cache):
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (CUT, limit[1]))
    try:
        with pytest.raises(OSError, match=r"cannot be kept in .*cache/set .*set NEKO_CACHE") as error:
            fetch.find(file(server.url("good")))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    assert error.value.__cause__.errno == errno.EFBIG
    held = left(cache)["file.bin.part"]
    assert 0 < held <= CUT
    assert fetch.find(file(server.url("good"))).read_bytes() == CONTENT
    assert server.ranges() == [None, f"bytes={held}-"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_cache_that_may_not_be_written_is_named(server, cache):
    cache.mkdir(mode=0o500)
    with pytest.raises(OSError, match=r"cannot be kept in .*cache.*set NEKO_CACHE"):
        fetch.find(file(server.url("good")))
    assert server.seen == []


def test_a_cache_that_is_no_folder_is_named(server, cache):
    cache.write_text("")
    with pytest.raises(OSError, match=r"cannot be kept in .*cache.*set NEKO_CACHE"):
        fetch.find(file(server.url("good")))
    assert server.seen == []


def test_the_data_folder_comes_first_and_is_checked(server, tmp_path, monkeypatch):
    monkeypatch.setenv("NEKO_DATA", str(tmp_path))
    wanted = file(server.url("good"))
    path = tmp_path / "set" / "file.bin"
    path.parent.mkdir()
    path.write_bytes(CONTENT)
    assert fetch.find(wanted) == path
    assert fetch.place(wanted) == "NEKO_DATA"
    path.write_bytes(CONTENT[:-1])
    with pytest.raises(ValueError, match=f"expected .'{SHA256}.*delete it or fetch it again"):
        fetch.find(wanted)
    assert server.seen == []


@pytest.mark.parametrize(
    ("content", "name"),
    [(b"", "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391"), (b"hello world\n", "3b18e512dba79e4c8300dd08aeb37f8e728b8dad")],
)
def test_a_git_blob_is_a_checksum(tmp_path, content, name):
    (tmp_path / "blob").write_bytes(content)
    blob = DataFile("blob", ("sha256:0", f"git-blob:{name}"), ())
    assert blob.is_right(tmp_path / "blob")
    assert not blob._replace(checksums=(f"git-blob:{name[::-1]}",)).is_right(tmp_path / "blob")
