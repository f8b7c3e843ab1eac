"""Our own time in a warm request: what is ours above a bare Chalice handler.

Upstreams are replaced by canned answers, so that nothing is measured but the path from the event
to the answer: routing, authentication, checks, the view, JSON and the log line.
"""

import dataclasses
import io
import logging
from collections.abc import Sequence
from typing import Any

from chalice.app import Chalice

from bench.measure import Figure, compare
from chalicelib.bootstrap import wire
from chalicelib.domain.model import FriendRecord
from chalicelib.domain.tokens import TokenRecord, parse_token_records
from chalicelib.logs import JsonFormatter
from chalicelib.routes.handler import register
from chalicelib.routes.table import ROUTES
from chalicelib.settings import Settings
from tests.factories import ADMIN_TOKEN, create_friend, create_tokens_document
from tests.harness import ENVIRONMENT, LambdaContext, build_event

_ROUNDS = 3000


class _CannedTokens:
    def __init__(self) -> None:
        self._records = parse_token_records(create_tokens_document())

    def records(self, *, fresher_than_seconds: float) -> Sequence[TokenRecord]:
        del fresher_than_seconds
        return self._records


class _CannedAccess:
    def __init__(self) -> None:
        self._record = FriendRecord(create_friend())

    def load(self, *_: object) -> FriendRecord:
        return self._record


def measure_warm() -> list[Figure]:
    """Measure GET /api/friends/{id}."""
    headers = {"Authorization": [f"Bearer {ADMIN_TOKEN}"], "Accept": ["application/json"]}
    event = build_event("GET", "/api/friends/alice", "", headers, None)
    context = LambdaContext()
    ours_app, bare_app = _build_ours(), _build_bare()
    ours, bare = compare(
        lambda: ours_app(event, context), lambda: bare_app(event, context), rounds=_ROUNDS
    )
    name = "warm request: our own time above a bare Chalice handler's"
    return [Figure(name, target=3.0, ours=ours - bare, other=bare)]


def _build_ours() -> Chalice:
    app = Chalice(app_name="ours", configure_logs=False)
    services: Any = wire(Settings.from_env(ENVIRONMENT)).services
    canned = dataclasses.replace(services, access=_CannedAccess(), tokens=_CannedTokens())
    register(app, canned)
    handler = logging.StreamHandler(io.StringIO())
    handler.setFormatter(JsonFormatter())
    log = logging.getLogger("chalicelib")
    log.handlers, log.propagate = [handler], False
    log.setLevel(logging.INFO)
    return app


def _build_bare() -> Chalice:
    app = Chalice(app_name="bare", configure_logs=False)
    for route in ROUTES:
        view = _view
        app.route(route.path, methods=[route.method], name=f"{route.method} {route.path}")(view)
    return app


def _view(**_: str) -> dict[str, str]:
    return {"id": "alice"}
