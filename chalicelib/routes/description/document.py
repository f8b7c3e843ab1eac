"""OpenAPI 3.1 of the API: from the routes' own declarations, built once, when first asked for."""

import inspect
from functools import lru_cache
from http import HTTPStatus
from typing import Final

from chalicelib.domain import shown, shown_work
from chalicelib.domain.model import JsonObject
from chalicelib.domain.rules import body_schema
from chalicelib.routes.declarations import IDEMPOTENCY_KEY
from chalicelib.routes.description.answers import ANSWERS, JSON, Answers, Reply
from chalicelib.routes.description.errors import GATEWAY, codes_of
from chalicelib.routes.description.examples import EXAMPLES
from chalicelib.routes.description.manifests import describe_body
from chalicelib.routes.description.typed import Schemas
from chalicelib.routes.description.words import ABOUT, ERRORS, HEADERS, OTHERWISE, TAGS
from chalicelib.routes.parameters import Parameter
from chalicelib.routes.table import ROUTES, Access, Body, Manifests, Route

_EVERYWHERE: Final = ("X-Request-Id",)
_REPLAYED: Final = "Idempotency-Replayed"
# The errors that routes/idempotency keeps.
_KEPT: Final = frozenset({400, 422})
_ERROR_HEADERS: Final = {
    401: ("WWW-Authenticate",),
    **dict.fromkeys((409, 429, 503, 504), ("Retry-After",)),
}


@lru_cache(maxsize=1)
def describe() -> JsonObject:
    """Return the document, but for where it is served. It is one: nobody may change it."""
    return _Describer().describe()


class _Describer:
    """Collects what several routes refer to while it describes them one by one."""

    def __init__(self) -> None:
        self.schemas = Schemas()
        self.responses: dict[str, JsonObject] = {}

    def describe(self) -> JsonObject:
        paths: dict[str, JsonObject] = {}
        for route in ROUTES:
            paths.setdefault(route.path, {})[route.method.lower()] = self._operation(route)
        return {
            "openapi": "3.1.0",
            "info": ABOUT,
            "tags": [{"name": name, "description": text} for name, text in TAGS.items()],
            "paths": paths,
            "components": {
                "schemas": dict(sorted(self.schemas.by_name.items())),
                "responses": self.responses,
                "headers": HEADERS,
                "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}},
            },
        }

    def _operation(self, route: Route) -> JsonObject:
        name = route.view.__name__
        first, _, more = inspect.cleandoc(route.view.__doc__ or "").partition("\n\n")
        summary = first.partition(": ")[2].removesuffix(".")
        answers = ANSWERS[name]
        operation: JsonObject = {
            "operationId": name,
            "tags": [route.view.__module__.rpartition(".")[2]],
            "summary": summary[0].upper() + summary[1:],
            "parameters": [_parameter(each) for each in route.takes],
            "responses": self._responses(route, answers),
            "security": [] if route.access is Access.PUBLIC else [{"bearer": []}],
        }
        if more:
            operation["description"] = more
        if route.body is not None:
            operation["requestBody"] = self._body(name, route.body)
        return operation

    def _body(self, name: str, body: Body) -> JsonObject:
        schema = (
            describe_body(self.schemas.by_name)
            if isinstance(body, Manifests)
            else body_schema(body)
        )
        media: JsonObject = {"schema": schema}
        if "request" in EXAMPLES.get(name, {}):
            media["example"] = EXAMPLES[name]["request"]
        return {"required": True, "content": {JSON: media}}

    def _responses(self, route: Route, answers: Answers) -> JsonObject:
        responses = {str(reply.status): self._reply(route, reply) for reply in answers.replies}
        for status, codes in codes_of(route, answers.errors).items():
            responses[str(status)] = self._shared(status, self._error(route, status, codes))
        responses["default"] = self._shared("Gateway", self._described(OTHERWISE, [*GATEWAY]))
        return responses

    def _reply(self, route: Route, reply: Reply) -> JsonObject:
        content = {each: {"schema": {"type": "string"}} for each in reply.text}
        if reply.body is not None:
            content = {JSON: self._media(route, reply), **content}
        headers = [*reply.headers, *_EVERYWHERE]
        if IDEMPOTENCY_KEY in route.takes:
            headers.append(_REPLAYED)
        response: JsonObject = {
            "description": reply.means,
            "headers": _headers(headers),
            "content": content,
        }
        if reply.leads_to:
            response["links"] = {
                name: {"operationId": name, "parameters": dict(parameters)}
                for name, parameters in reply.leads_to.items()
            }
        return response

    def _media(self, route: Route, reply: Reply) -> JsonObject:
        schema = reply.body if isinstance(reply.body, dict) else self.schemas.schema_of(reply.body)
        examples = EXAMPLES.get(route.view.__name__, {}).get("answers", {})
        media: JsonObject = {"schema": schema}
        if str(reply.status) in examples:
            media["example"] = examples[str(reply.status)]
        return media

    def _shared(self, status: int | str, response: JsonObject) -> JsonObject:
        """Return a reference to the response: many routes have the same."""
        phrase = str(status) if isinstance(status, str) else HTTPStatus(status).phrase
        phrase = phrase.title().replace(" ", "")
        number, name = 1, phrase
        while self.responses.setdefault(name, response) != response:
            number, name = number + 1, f"{phrase}{number + 1}"
        return {"$ref": f"#/components/responses/{name}"}

    def _error(self, route: Route, status: int, codes: list[str]) -> JsonObject:
        names = [*_ERROR_HEADERS.get(status, ())]
        if IDEMPOTENCY_KEY in route.takes and status in _KEPT:
            names.append(_REPLAYED)
        response = self._described(ERRORS[status], codes, *names)
        media = response["content"][JSON]
        if "objects_refused" in codes:
            refused = (
                shown_work.ManifestsRefused
                | shown_work.ObjectsRefused
                | shown_work.ObjectsWouldBeRefused
            )
            others = self.schemas.schema_of(refused)["anyOf"]
            media["schema"] = {"anyOf": [media["schema"], *others]}
        example = EXAMPLES["errors"]["answers"].get(str(status))
        if example is not None and example["code"] in codes:
            media["example"] = example
        return response

    def _described(self, means: str, codes: list[str], *headers: str) -> JsonObject:
        one_of_these = {"properties": {"code": {"enum": codes}}}
        schema = {"allOf": [self.schemas.schema_of(shown.Error), one_of_these]}
        return {
            "description": means,
            "headers": _headers([*headers, *_EVERYWHERE]),
            "content": {JSON: {"schema": schema}},
        }


def _parameter(parameter: Parameter[object]) -> JsonObject:
    described: JsonObject = {
        "name": parameter.name,
        "in": parameter.place.value,
        "description": parameter.description,
        "schema": parameter.rule.schema,
    }
    return described | {"required": True} if parameter.required else described


def _headers(names: list[str]) -> JsonObject:
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}
