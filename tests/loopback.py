"""Archives of data sets, served on this machine."""

from __future__ import annotations

import http.server
import io
import threading
import zipfile
from contextlib import contextmanager


def zipped(members):
    """The bytes of a zip archive of files, given as a dict of their contents."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return stream.getvalue()


@contextmanager
def served(content):
    """An address that answers with the content, and the list of requests so far."""
    seen = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            seen.append(self.path)
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *arguments):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/archive.zip", seen
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
