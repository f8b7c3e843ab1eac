"""The app behind a loopback HTTP server: HTTP in, API Gateway's events to the app, and back.

So any HTTP client can try the product. Asynchronous invocations are delivered before the next
request.
"""

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final
from urllib.parse import unquote

from tests import canaries
from tests.described import STAGE, ApiAnswer, require_described
from tests.harness import Api, LambdaContext, build_event, to_answer
from tests.policies import acting_as

BASE: Final = STAGE
# What API Gateway answers by itself.
_NO_ROUTE: Final = ApiAnswer(404, {"Content-Type": "application/json"}, '{"message":"Not Found"}')


class Gateway:
    """Answers as API Gateway does with this app behind it.

    answered counts by method, route and status; undescribed has what the description does not
    declare.
    """

    def __init__(self, api: Api, invocations: list[Any]) -> None:
        """Put a gateway in front of the app."""
        self._api, self._invocations = api, invocations
        self._lock = threading.Lock()
        self.answered: Counter[tuple[str, str, int]] = Counter()
        self.undescribed: list[str] = []

    def answer(
        self, method: str, target: str, headers: dict[str, list[str]], body: bytes | None
    ) -> ApiAnswer:
        """Answer one request; target is its path with its query, as they came over the wire."""
        path, _, query = target.removeprefix(BASE).partition("?")
        with self._lock:
            try:
                event = build_event(method, unquote(path), query, headers, body)
            except LookupError:
                return _NO_ROUTE
            with acting_as("api_handler"):
                answer = to_answer(self._api.app(event, LambdaContext()))
            canaries.search_answer(
                f"{method} {event['resource']}", answer.status, answer.headers, answer.text
            )
            self._api.deliver(self._invocations)
            self.answered[method, event["resource"], answer.status] += 1
            try:
                require_described(method, event["resource"], answer)
            except AssertionError as error:
                self.undescribed.append(str(error))
            return answer


@contextmanager
def serve(gateway: Gateway) -> Iterator[str]:
    """Serve the gateway on a free port of the loopback, and say at which URL."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_one_request(self) -> None:
            self.raw_requestline = self.rfile.readline(65537)
            if not self.raw_requestline or not self.parse_request():
                self.close_connection = True
                return
            headers = {name: self.headers.get_all(name) or [] for name in {*self.headers}}
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0)) or None
            self._send(gateway.answer(self.command, self.path, headers, body))

        def _send(self, answer: ApiAnswer) -> None:
            body = answer.text.encode()
            self.send_response(answer.status)
            for name, value in {**answer.headers, "Content-Length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing: the tests look at what was answered."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}{BASE}"
        finally:
            server.shutdown()
            thread.join()
