"""One request, as the views see it, and one answer, as they give it."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar, cast
from urllib.parse import urlencode

from chalicelib.domain.deadline import Deadline
from chalicelib.domain.errors import Fault, InvalidInput, Unauthenticated, UnsupportedMediaType
from chalicelib.domain.model import JsonObject, Principal
from chalicelib.routes.parameters import Parameter, Values
from chalicelib.routes.strict_json import parse_json

_CONTENT_TYPE: Final = re.compile(
    r'application/json[ \t]*(?:;[ \t]*charset[ \t]*=[ \t]*"?utf-8"?[ \t]*)?', re.IGNORECASE
)
T = TypeVar("T")


@dataclass(frozen=True)
class Request:
    """A request that has passed authentication, if its route asks for it.

    domain_name is the gateway's word for where it was asked, and base_path for what its URLs have
    before the API's paths: the stage, or what a custom domain maps. Each is empty where there is
    none. values are its route's parameters, checked. The rest is hostile until one of these methods
    has checked it: path and query as API Gateway decoded them, headers by lower-case name.
    """

    method: str
    route: str
    path: Mapping[str, str]
    query: Mapping[str, Sequence[str]]
    headers: Mapping[str, Sequence[str]]
    values: Values
    raw_body: bytes
    deadline: Deadline
    request_id: str
    domain_name: str = ""
    base_path: str = ""
    caller: Principal | None = None

    @property
    def principal(self) -> Principal:
        """Who is calling. Raises Unauthenticated on a public route."""
        if self.caller is None:
            msg = "This needs a token."
            raise Unauthenticated(msg)
        return self.caller

    def link_to_next(self, **parameters: str | int) -> str:
        """Return the Link header's value that leads from this page to the next.

        Like Location, it is an absolute path (routes/locations).
        """
        path = f"{self.base_path}{self.route.format(**self.path)}"
        return f'<{path}?{urlencode(parameters)}>; rel="next"'

    def get(self, parameter: Parameter[T]) -> T:
        """Return the value of a parameter that the request's route declares."""
        return cast("T", self.values[parameter.name])

    def header(self, name: str) -> str | None:
        """Return a header that may come once."""
        values = self.headers.get(name.lower(), ())
        if len(values) > 1:
            raise invalid(name, f"{name} may be sent once.")
        return values[0] if values else None

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
        if self.raw_body and parse_json(self.raw_body) != {}:
            msg = "This takes no body; leave it out."
            raise InvalidInput(msg, faults=(Fault("", msg),))


@dataclass(frozen=True)
class Answer:
    """What a view gives back: a JSON value, or text with a Content-Type of its own.

    A Location is one of the API's paths (/api/...); the handler puts the base path before it, so
    that an answer that is kept leads on wherever its repeat is asked for.
    """

    body: Any
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)

    def text(self) -> str:
        """Return the body as it goes over the wire."""
        if isinstance(self.body, str):
            return self.body
        return json.dumps(self.body, ensure_ascii=False, separators=(",", ":"))


def invalid(path: str, message: str) -> InvalidInput:
    """Return the error for one fault."""
    return InvalidInput(message, faults=(Fault(path, message),))
