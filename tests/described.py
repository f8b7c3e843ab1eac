"""Holds every answer that a test sees to the API's description, and to nothing more than that."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from http import HTTPStatus
from typing import Any

from jsonschema_rs import Draft202012Validator

from chalicelib.routes.description.document import describe
from chalicelib.routes.table import ROUTES, Access

# On every answer alike, and no business of a client's: what keeps browsers and caches from harm.
UNIVERSAL = {
    "Strict-Transport-Security": "max-age=31536000",
    "X-Content-Type-Options": "nosniff",
}


# What anybody may ask for may be kept by anybody; nothing else may.
PUBLIC = {route.path for route in ROUTES if route.access is Access.PUBLIC}
# As tests/harness has it in every event.
STAGE = "/test"
KEPT_STATUSES = {HTTPStatus.OK, HTTPStatus.NOT_MODIFIED}
NOT_KEPT = ("Cache-Control", "no-store")


@dataclass(frozen=True)
class ApiAnswer:
    """What a client sees."""

    status: int
    headers: Mapping[str, str]
    text: str

    @property
    def json(self) -> Any:
        """The body, parsed."""
        return json.loads(self.text)

    @property
    def next_url(self) -> str:
        """The path of the next page, below the stage; empty on the last."""
        link = re.fullmatch(rf'<{STAGE}(/api/[^>]+)>; rel="next"', self.headers.get("Link", ""))
        return link[1] if link else ""


def require_described(method: str, path: str, answer: ApiAnswer) -> None:
    """Fail unless the description has this very answer: status, headers, type and every field.

    A 500 is never described. The tests that provoke one say so by their own assertions. The headers
    of UNIVERSAL are on every answer, whatever it is.
    """
    assert answer.headers.items() >= UNIVERSAL.items(), f"{method} {path} answered {answer.headers}"
    may_be_kept = method == "GET" and path in PUBLIC and answer.status in KEPT_STATUSES
    kept = answer.headers["Cache-Control"]
    assert kept.startswith("public, max-age=") if may_be_kept else kept == "no-store", kept
    # Methods are in capitals (RFC 9110, section 9.1): "get" is no GET.
    operation = describe()["paths"][path].get(method.lower()) if method.isupper() else None
    if operation is None:
        assert answer.status == HTTPStatus.METHOD_NOT_ALLOWED, f"{method} {path} is not described"
        return
    if answer.status == HTTPStatus.INTERNAL_SERVER_ERROR:
        return
    told = f"{method} {path} answered {answer.status}"
    assert str(answer.status) in operation["responses"], f"{told}: {answer.text[:1000]}"
    response = _resolved(operation["responses"][str(answer.status)])
    _require_headers(told, response["headers"], answer)
    if answer.status == HTTPStatus.NOT_MODIFIED:
        assert (answer.text, response["content"]) == ("", {}), told
        return
    content_type = answer.headers["Content-Type"]
    assert content_type in response["content"], f"{told} as {content_type}"
    if content_type == "application/json":
        errors = _validator(method.lower(), path, answer.status).iter_errors(answer.json)
        faults = [f"{error.instance_path}: {error.message}"[:1000] for error in errors]
        assert faults == [], f"{told}: {answer.text[:1000]}"


def _require_headers(told: str, declared: Mapping[str, Any], answer: ApiAnswer) -> None:
    for name, value in answer.headers.items():
        if name in UNIVERSAL or name == "Content-Type" or (name, value) == NOT_KEPT:
            continue
        assert name in declared, f"{told} with the header {name}: {value}"
        schema = _resolved(declared[name])["schema"]
        whole = schema.get("type") == "integer"
        assert Draft202012Validator(schema).is_valid(int(value) if whole else value), (
            f"{told}: {name}: {value}"
        )
    missing = {name for name in declared if _resolved(declared[name]).get("required")}
    assert missing <= answer.headers.keys(), told


def _resolved(thing: Any) -> Any:
    found = describe()
    if "$ref" not in thing:
        return thing
    for key in thing["$ref"].removeprefix("#/").split("/"):
        found = found[key]
    return found


@cache
def _validator(method: str, path: str, status: int) -> Draft202012Validator:
    response = _resolved(describe()["paths"][path][method]["responses"][str(status)])
    schema = response["content"]["application/json"]["schema"]
    return Draft202012Validator(_closed({**schema, "components": describe()["components"]}))


def _closed(schema: Any) -> Any:
    """Return the schema without the room that it leaves for fields of later versions."""
    if isinstance(schema, list):
        return [_closed(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {key: _closed(value) for key, value in schema.items()}
    if schema.get("type") == "object" and "properties" in schema:
        closed.setdefault("additionalProperties", False)
    return closed
