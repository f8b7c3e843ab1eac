"""A request, as a view may ask it."""

from typing import Any

import pytest

from chalicelib.domain.deadline import Deadline
from chalicelib.domain.errors import InvalidInput, Unauthenticated, UnsupportedMediaType
from chalicelib.routes.http import Request

JSON = {"content-type": ["application/json"]}


def create_request(**fields: Any) -> Request:
    usual: dict[str, Any] = {
        "method": "POST",
        "route": "/api/friends",
        "path": {},
        "query": {},
        "headers": JSON,
        "values": {},
        "raw_body": b"{}",
        "deadline": Deadline.after(10),
        "request_id": "r1",
    }
    return Request(**{**usual, **fields})


def test_a_request_without_a_token_is_nobodys() -> None:
    with pytest.raises(Unauthenticated):
        _ = create_request().principal


def test_a_header_that_may_come_once_comes_once() -> None:
    assert create_request().header("Content-Type") == "application/json"
    assert create_request().header("Accept") is None
    twice = create_request(headers={"accept": ["text/html", "application/json"]})
    with pytest.raises(InvalidInput, match="Accept may be sent once"):
        twice.header("Accept")


def test_a_body_is_json_as_it_is() -> None:
    assert create_request(raw_body=b'{"a": 1}').json_value() == {"a": 1}
    with pytest.raises(InvalidInput, match="it is empty"):
        create_request(raw_body=b"").json_value()
    with pytest.raises(UnsupportedMediaType):
        create_request(headers={**JSON, "content-encoding": ["gzip"]}).json_value()
    with pytest.raises(UnsupportedMediaType):
        create_request(headers={}).json_value()
