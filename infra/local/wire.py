"""What the doubles of outside systems share: a loopback server, a request log, injected faults.

A double supplies one function, `Request -> Answer`, that holds the outside system's behaviour.
Everything that makes it a *server*, and everything that makes it *misbehave on purpose*, is here,
so that both doubles count requests and fail in the same ways.
"""

from __future__ import annotations

import json
import re
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, TypeAlias
from urllib.parse import parse_qsl, urlsplit

if TYPE_CHECKING:
    import ssl

LOOPBACK: Final = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Request:
    """One request as it arrived: `path` has no query, header names are lower case.

    A query parameter given twice keeps its last value.
    """

    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict, hash=False)
    headers: Mapping[str, str] = field(default_factory=dict, hash=False, repr=False)
    body: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer: a `body` that is not bytes is sent as JSON."""

    status: int
    body: object = b""
    headers: Mapping[str, str] = field(default_factory=dict, hash=False)

    def encoded(self) -> tuple[bytes, dict[str, str]]:
        """Return the body's bytes and the headers that go with them."""
        headers = {name.lower(): value for name, value in self.headers.items()}
        if isinstance(self.body, bytes):
            return self.body, headers
        headers.setdefault("content-type", "application/json")
        return json.dumps(self.body, separators=(",", ":")).encode(), headers


Respond: TypeAlias = Callable[[Request], Answer]


@dataclass(slots=True)
class _Fault:
    answer: Answer | None  # None drops the connection
    match: re.Pattern[str]
    times_left: int
    after: bool


class Wire:
    """The request log and the faults of one double. Every member may be used from any thread."""

    def __init__(self) -> None:
        """Start with an empty log, no faults and no latency."""
        self.requests: list[Request] = []
        self.latency_seconds = 0.0
        self._faults: list[_Fault] = []
        self._lock = threading.Lock()

    def fail_next(  # noqa: PLR0913 - each is one way to misbehave
        self,
        *,
        status: int = 500,
        times: int = 1,
        headers: Mapping[str, str] | None = None,
        body: object = b"",
        match: str = "",
        drop: bool = False,
        after: bool = False,
    ) -> None:
        """Make the next `times` requests fail. Calls queue up; the oldest that matches is used.

        match is a regular expression searched in `"METHOD /path"`. drop closes the connection in
        place of an answer. after lets the request take effect before it fails: what a client sees
        when an answer is lost on its way back.
        """
        answer = None if drop else Answer(status, body, headers or {})
        with self._lock:
            self._faults.append(_Fault(answer, re.compile(match), times, after))

    def clear(self) -> None:
        """Forget the logged requests, the pending faults and the latency."""
        with self._lock:
            self.requests.clear()
            self._faults.clear()
            self.latency_seconds = 0.0

    def answer(self, request: Request, respond: Respond) -> Answer | None:
        """Log the request and answer it, or misbehave as told; None means: drop the connection."""
        with self._lock:
            self.requests.append(request)
            fault = self._take_fault(request)
        if self.latency_seconds:
            time.sleep(self.latency_seconds)
        if fault is None:
            return respond(request)
        if fault.after:
            respond(request)
        return fault.answer

    def _take_fault(self, request: Request) -> _Fault | None:
        line = f"{request.method} {request.path}"
        for fault in self._faults:
            if fault.match.search(line):
                fault.times_left -= 1
                if fault.times_left <= 0:
                    self._faults.remove(fault)
                return fault
        return None


class _Handler(BaseHTTPRequestHandler):
    """Reads one request after another from a kept-alive connection."""

    protocol_version = "HTTP/1.1"
    server_version = "double"
    sys_version = ""
    disable_nagle_algorithm = True
    wbufsize = -1  # the head and the body leave in one packet
    server: _Server

    def _serve(self) -> None:
        answer = self.server.wire.answer(self._read_request(), self.server.respond)
        if answer is None:
            self.close_connection = True
            return
        body, headers = answer.encoded()
        self.send_response(answer.status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_DELETE = do_GET = do_HEAD = do_PATCH = do_POST = do_PUT = _serve  # noqa: N815 (http.server's names)

    def _read_request(self) -> Request:
        url = urlsplit(self.path)
        return Request(
            method=self.command,
            path=url.path,
            query=MappingProxyType(dict(parse_qsl(url.query, keep_blank_values=True))),
            headers=MappingProxyType({name.lower(): value for name, value in self.headers.items()}),
            body=self.rfile.read(int(self.headers.get("content-length") or 0)),
        )

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (http.server's name)
        """Say nothing: the request log is `Wire.requests`."""


class _Server(ThreadingHTTPServer):
    """A loopback server that can hang up on everyone who is still connected."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, port: int, wire: Wire, respond: Respond, tls: ssl.SSLContext | None) -> None:
        self.wire = wire
        self.respond = respond
        self._tls = tls
        self._open: set[socket.socket] = set()
        super().__init__((LOOPBACK, port), _Handler)

    def server_bind(self) -> None:
        """Bind without the reverse look-up of the host's name, which can take seconds."""
        TCPServer.server_bind(self)
        self.server_name = LOOPBACK
        self.server_port = self.server_address[1]

    def get_request(self) -> tuple[socket.socket, Any]:
        """Accept a connection; a TLS handshake is left to its own thread."""
        connection, address = super().get_request()
        if self._tls is not None:
            connection = self._tls.wrap_socket(
                connection, server_side=True, do_handshake_on_connect=False
            )
        self._open.add(connection)
        return connection, address

    def shutdown_request(self, request: Any) -> None:  # noqa: ANN401 (socketserver's type)
        """Close a connection."""
        self._open.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: object, client_address: object) -> None:
        """Stay silent about clients that hang up; let every other error be seen."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]

    def hang_up(self) -> None:
        """Close every connection, so that a kept-alive client notices that the server is gone."""
        for connection in list(self._open):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


@contextmanager
def serve_on_loopback(
    wire: Wire, respond: Respond, *, port: int = 0, tls: ssl.SSLContext | None = None
) -> Iterator[str]:
    """Serve on loopback in a thread and yield the base URL; port 0 takes a free one.

    Raises OSError when the port is taken.
    """
    server = _Server(port, wire, respond, tls)
    thread = threading.Thread(
        target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
    )
    thread.start()
    try:
        yield f"{'https' if tls else 'http'}://{LOOPBACK}:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        server.hang_up()
        thread.join()


def announce_and_wait(ready: Mapping[str, object]) -> None:
    """Print where the double listens, as one JSON line, then serve until SIGTERM or SIGINT."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _leave)
    print(json.dumps(ready), flush=True)  # noqa: T201 (the ready line is this command's output)
    threading.Event().wait()


def _leave(number: int, _frame: object) -> None:
    signal.signal(number, signal.SIG_IGN)
    sys.exit(0)
