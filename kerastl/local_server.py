"""The page of `serve`, for browsers on this machine and for no other page that is open in them.

Python's own server, and no framework: the page needs no more, and what is not there cannot be attacked, fetch fonts or
call home. (Gradio 6.31 would have brought 18 other packages, and an older Pillow.)
"""

import json
import os
import sys
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from importlib.resources import files
from socketserver import ThreadingTCPServer

MOST_BYTES = 30_000_000  # of a picture's file
FILES = {
    "/": ("index.html", "text/html; charset=utf-8"),
    "/page.css": ("page.css", "text/css; charset=utf-8"),
    "/page.js": ("page.js", "text/javascript; charset=utf-8"),
}
HEADERS = {
    # The page loads only its own files; pictures in answers are `data:`. No other page may show it in a frame.
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Permissions-Policy": "camera=(self)",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}


class LocalServer(ThreadingTCPServer):
    """Answers on 127.0.0.1 only. `serve_forever` runs it; after a `with` block the port is free."""

    daemon_threads = True
    allow_reuse_address = os.name != "nt"  # on Windows another program could take the port over

    def __init__(self, answer: Callable[[bytes], dict], model: dict, port: int):
        """Args: answer, what is said about the content of a picture's file; model, what the page says of the model."""
        self.answer, self.model = answer, model | {"most_bytes": MOST_BYTES}
        super().__init__(("127.0.0.1", port), _Handler)

    @property
    def port(self) -> int:
        return self.server_address[1]

    def handle_error(self, request, client_address) -> None:
        """A browser that went away, as when its page is loaded again, is no error."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    server: LocalServer
    timeout = 30  # seconds for one that says nothing

    def do_GET(self) -> None:
        if not self._is_ours():
            self._send_json(HTTPStatus.FORBIDDEN, {"error": "Only for browsers on this machine."})
        elif self.path in FILES:
            name, kind = FILES[self.path]
            self._send(HTTPStatus.OK, kind, (files("kerastl") / "page" / name).read_bytes())
        elif self.path == "/model.json":
            self._send_json(HTTPStatus.OK, self.server.model)
        else:
            self._send_json(HTTPStatus.NOT_FOUND, {"error": "There is no such page."})

    def do_POST(self) -> None:
        length = self.headers.get("Content-Length", "")
        # A browser says from which page a picture comes. Without that it is no page of ours.
        if not self._is_ours() or self.headers.get("Origin") != f"http://{self.headers['Host']}":
            self._send_json(HTTPStatus.FORBIDDEN, {"error": "Only for the page of this program."})
        elif self.path != "/picture":
            self._send_json(HTTPStatus.NOT_FOUND, {"error": "There is no such page."})
        elif not (length.isascii() and length.isdigit()):
            self._send_json(HTTPStatus.LENGTH_REQUIRED, {"error": "The length of the file is missing."})
        elif len(length) > 12 or int(length) > MOST_BYTES:
            error = f"The file has more than {MOST_BYTES / 1e6:.0f} MB."
            self._send_json(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, {"error": error})
        else:
            content = self.rfile.read(int(length))
            whole = len(content) == int(length)
            said = self.server.answer(content) if whole else {"error": "The file did not come whole."}
            self._send_json(HTTPStatus.BAD_REQUEST if "error" in said else HTTPStatus.OK, said)

    def _is_ours(self) -> bool:
        """Whether the browser means this machine, and no name that somebody else has led here (DNS rebinding)."""
        return self.headers.get_all("Host") in ([f"{name}:{self.server.port}"] for name in ("127.0.0.1", "localhost"))

    def _send_json(self, status: HTTPStatus, value: dict) -> None:
        self._send(status, "application/json", json.dumps(value).encode())

    def _send(self, status: HTTPStatus, kind: str, content: bytes) -> None:
        self.send_response(status)
        for name, value in {**HEADERS, "Content-Type": kind, "Content-Length": len(content)}.items():
            self.send_header(name, str(value))
        self.end_headers()
        self.wfile.write(content)

    def version_string(self) -> str:
        return "kerastl"

    def log_message(self, *_) -> None:
        """Nobody reads along."""
