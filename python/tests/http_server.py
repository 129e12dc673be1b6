"""An HTTP server inside the test, for what needs no real one."""

from __future__ import annotations

import contextlib
import http.server
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field


@dataclass
class Served:
    """What is answered by path, and what was asked.

    Parameters
    ----------
    url : `str`
        Address of the server.
    answers : `dict`
        Status and body of each path.
    asked : `list`
        Path, header ``Authorization`` and body of each request.
    """

    url: str
    answers: dict[str, tuple[int, bytes]] = field(default_factory=dict)
    asked: list[tuple[str, str | None, bytes]] = field(default_factory=list)


@contextlib.contextmanager
def serve() -> Iterator[Served]:
    """Serve on a free port until the test ends."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            served.asked.append((self.path, self.headers.get("Authorization"), body))
            status, text = served.answers.get(self.path, (404, b"{}"))
            self.send_response(status)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        do_GET = do_POST = answer

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    served = Served(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield served
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
