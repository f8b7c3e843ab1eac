"""One request, as the views see it, and one answer, as they give it."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlencode

from chalicelib.domain.deadline import Deadline
from chalicelib.domain.errors import Fault, InvalidInput, Unauthenticated, UnsupportedMediaType
from chalicelib.domain.fields import agent_id_fault, friend_id_fault
from chalicelib.domain.model import JsonObject, Principal
from chalicelib.routes.strict_json import parse_json

_CONTENT_TYPE: Final = re.compile(
    r'application/json[ \t]*(?:;[ \t]*charset[ \t]*=[ \t]*"?utf-8"?[ \t]*)?', re.IGNORECASE
)
_NAME_RULE: Final = (
    "must be 1 to 253 lower-case letters, digits, hyphens and dots, "
    "with a letter or digit at both ends."
)
_NAME: Final = re.compile(r"[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?")
_WHOLE_NUMBER: Final = re.compile(r"0|[1-9][0-9]{0,63}")
_QUOTED: Final = re.compile(r'"(?:[^"\\]|\\.)*"')
_ENTITY_TAG: Final = re.compile(r'(?:W/)?"[\x21\x23-\x7e]*"')
_IDEMPOTENCY_KEY: Final = re.compile(r"[\x21-\x7e]{1,255}")


@dataclass(frozen=True)
class Request:
    """A request that has passed authentication, if its route asks for it.

    path and query hold what API Gateway decoded; headers are by lower-case name. Everything in
    them is hostile until one of these methods has checked it; each raises InvalidInput.
    """

    method: str
    route: str
    path: Mapping[str, str]
    query: Mapping[str, Sequence[str]]
    headers: Mapping[str, Sequence[str]]
    raw_body: bytes
    deadline: Deadline
    request_id: str
    caller: Principal | None = None

    @property
    def principal(self) -> Principal:
        """Who is calling. Raises Unauthenticated on a public route."""
        if self.caller is None:
            msg = "This needs a token."
            raise Unauthenticated(msg)
        return self.caller

    def reference_to(self, path: str) -> str:
        """Return a URL reference from this request to another path of the API.

        It is relative, so that it resolves rightly behind any stage, base path or domain, none of
        which the API is told of (RFC 3986, section 5.2).
        """
        return "../" * (self.route.count("/") - 1) + path.lstrip("/")

    def link_to_next(self, **parameters: str | int) -> str:
        """Return the Link header's value that leads from this page to the next.

        Like reference_to: without a path, it is the path that was asked.
        """
        return f'<?{urlencode(parameters)}>; rel="next"'

    def prefers(self, preference: str) -> bool:
        """Tell whether a Prefer header asks for this (RFC 7240); what is unknown is ignored."""
        said = _QUOTED.sub('""', ",".join(self.headers.get("prefer", ())))
        wishes = (wish.split(";")[0].replace('=""', "").strip().lower() for wish in said.split(","))
        return preference in wishes

    def friend_id(self) -> str:
        """Return the friend's id from the path."""
        value = self.path["id"]
        return self._checked("id", value, friend_id_fault(value))

    def agent_id(self) -> str:
        """Return the agent's id from the path."""
        value = self.path["agent_id"]
        return self._checked("agent_id", value, agent_id_fault(value))

    def object_name(self, name: str) -> str:
        """Return the name of a Kubernetes object from the path (RFC 1123 subdomain)."""
        value = self.path[name]
        fault = None if is_object_name(value) else _NAME_RULE
        return self._checked(name, value, fault)

    def header(self, name: str) -> str | None:
        """Return a header that may come once."""
        values = self.headers.get(name.lower(), ())
        if len(values) > 1:
            raise invalid(name, f"{name} may be sent once.")
        return values[0] if values else None

    def only_parameters(self, *known: str) -> None:
        """Refuse query parameters other than these, and any that comes twice.

        A misspelt dry_run that is ignored is a change that nobody wanted.
        """
        listed = ", ".join(known) or "none"
        faults = [
            Fault(
                f"?{name[:64]}", f"The parameter {name[:64]!r} is not known here. Known: {listed}."
            )
            for name in self.query
            if name not in known
        ]
        faults += [
            Fault(f"?{name}", f"{name} may be given once.")
            for name in known
            if len(self.query.get(name, ())) > 1
        ]
        if faults:
            raise InvalidInput(faults[0].message, faults=tuple(faults))

    def parameter(self, name: str) -> str | None:
        """Return a query parameter's text."""
        values = self.query.get(name)
        return values[0] if values else None

    def flag(self, name: str) -> bool:
        """Return a true-or-false parameter; false when it is absent."""
        value = self.parameter(name)
        if value not in {None, "true", "false"}:
            raise invalid(f"?{name}", f"{name} must be true or false.")
        return value == "true"

    def whole_number(self, name: str, *, least: int, most: int | None = None) -> int | None:
        """Return a parameter's whole number, in plain ASCII digits."""
        value = self.parameter(name)
        if value is None:
            return None
        number = int(value) if _WHOLE_NUMBER.fullmatch(value) else least - 1
        if number < least or (most is not None and number > most):
            limits = f"from {least}" if most is None else f"from {least} to {most}"
            raise invalid(f"?{name}", f"{name} must be a whole number {limits}.")
        return number

    def json_value(self) -> Any:  # noqa: ANN401 - any JSON value
        """Return the body, any JSON. Raises UnsupportedMediaType and BodyTooLarge too."""
        if self.header("Content-Encoding") not in {None, "identity"}:
            msg = "Send the body without a Content-Encoding."
            raise UnsupportedMediaType(msg)
        if not self.raw_body:
            msg = "Send the body as JSON: it is empty."
            raise InvalidInput(msg, code="malformed_json")
        if not _CONTENT_TYPE.fullmatch(self.header("Content-Type") or ""):
            msg = "Send the body as Content-Type: application/json, in UTF-8."
            raise UnsupportedMediaType(msg)
        return parse_json(self.raw_body)

    def json_object(self) -> JsonObject:
        """Return the body, a JSON object. Raises as json_value does."""
        value = self.json_value()
        if not isinstance(value, dict):
            raise invalid("", "The body must be a JSON object.")
        return value

    def no_body(self) -> None:
        """Refuse a body that says anything: this route would not read it."""
        if self.raw_body and self.json_object():
            msg = "This takes no body; leave it out."
            raise InvalidInput(msg, faults=(Fault("", msg),))

    def entity_tags(self) -> frozenset[str] | None:
        """Return If-Match's entity tags, or None without the header. Weak tags never match."""
        value = self.header("If-Match")
        if value is None:
            return None
        tags = [tag.strip() for tag in value.split(",")]
        if tags != ["*"] and not all(map(_ENTITY_TAG.fullmatch, tags)):
            raise invalid("If-Match", 'If-Match must be an ETag in double quotes, or "*".')
        return frozenset(tags)

    def idempotency_key(self) -> str | None:
        """Return the Idempotency-Key, if there is one."""
        value = self.header("Idempotency-Key")
        if value is not None and not _IDEMPOTENCY_KEY.fullmatch(value):
            message = "Idempotency-Key must be 1 to 255 visible ASCII characters."
            raise invalid("Idempotency-Key", message)
        return value

    @staticmethod
    def _checked(name: str, value: str, fault: str | None) -> str:
        if fault:
            raise invalid(f"path:{name}", f"The {name} in the path {fault}")
        return value


@dataclass(frozen=True)
class Answer:
    """What a view gives back: a JSON value, or text with a Content-Type of its own."""

    body: Any
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)

    def text(self) -> str:
        """Return the body as it goes over the wire."""
        if isinstance(self.body, str):
            return self.body
        return json.dumps(self.body, ensure_ascii=False, separators=(",", ":"))


def is_object_name(value: str) -> bool:
    """Tell whether the value may name a Kubernetes object (RFC 1123 subdomain)."""
    return _NAME.fullmatch(value) is not None and ".." not in value


def invalid(path: str, message: str) -> InvalidInput:
    """Return the error for one fault."""
    return InvalidInput(message, faults=(Fault(path, message),))
