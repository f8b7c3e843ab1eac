"""What the API says of itself: as a standard validator reads it, complete, and no more than true.

That every answer is one that the description declares is held in tests/described.py, by each test
that sees one.
"""

import ast
import hashlib
import re
import subprocess
import sys
from base64 import b64encode
from typing import Any
from urllib.parse import urljoin

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from chalicelib.routes.description.answers import ANSWERS
from chalicelib.routes.description.document import describe
from chalicelib.routes.table import ROUTES, Access
from infra.local.cluster import ClusterDouble
from tests.described import UNIVERSAL, ApiAnswer, require_described
from tests.harness import ROOT, Api, LambdaContext, build_event, to_answer

# Codes that never leave as an answer's: an invocation's, a bug's (500), and an operation's own.
NOT_ANSWERED = {"invalid_event", "internal_error"}
OPENAPI = "/api/openapi.json"
HEALTH = '{"ok": true, "status": "healthy", "timestamp": "2026-11-27T01:06:02.834011Z"}'
KEPT = {"Cache-Control": "public, max-age=5", "ETag": 'W/"x"', "Vary": "Accept-Encoding"}
TOLD = {"X-Request-Id": "1", **KEPT}


def operations() -> dict[tuple[str, str], Any]:
    return {
        (method.upper(), path): operation
        for path, methods in describe()["paths"].items()
        for method, operation in methods.items()
    }


def test_the_description_is_valid_openapi(api: Api, kube: ClusterDouble) -> None:
    answer = api.get("/api/openapi.json", token=None)
    assert answer.status == 200
    assert answer.json["openapi"] == "3.1.0"
    assert [*OpenAPIV31SpecValidator(answer.json).iter_errors()] == []
    assert kube.requests == []


@pytest.mark.case("W8")
@pytest.mark.parametrize(
    ("told", "asked", "served_at"),
    [
        # A REST API's own domain, with its stage; a custom domain, without and with a base path.
        (
            {"domainName": "a1.execute-api.eu-west-1.amazonaws.com", "path": f"/prod{OPENAPI}"},
            f"https://a1.execute-api.eu-west-1.amazonaws.com/prod{OPENAPI}",
            "https://a1.execute-api.eu-west-1.amazonaws.com/prod",
        ),
        (
            {"domainName": "api.example", "path": OPENAPI},
            f"https://api.example{OPENAPI}",
            "https://api.example",
        ),
        (
            {"domainName": "api.example", "path": f"/v1{OPENAPI}"},
            f"https://api.example/v1{OPENAPI}",
            "https://api.example/v1",
        ),
        # MiniStack's URL in path style, of which the event has the stage alone; nothing at all.
        (
            {"apiId": "a1", "path": f"/dev{OPENAPI}"},
            f"http://127.0.0.1:4566/_aws/execute-api/a1/dev{OPENAPI}",
            "http://127.0.0.1:4566/_aws/execute-api/a1/dev",
        ),
        ({"path": None}, f"http://127.0.0.1:8000{OPENAPI}", "http://127.0.0.1:8000"),
        # A slash at the end, and some too many.
        (
            {"domainName": "api.example", "path": f"//v1/{OPENAPI}/"},
            f"https://api.example/v1{OPENAPI}/",
            "https://api.example/v1",
        ),
    ],
)
def test_the_server_is_where_the_description_was_asked_for(
    backend: None, told: dict[str, Any], asked: str, served_at: str
) -> None:
    # What MiniStack's events do not tell, its stage's settings do.
    api = Api({"GATEWAY_PATH": "/_aws/execute-api/{apiId}"} if "apiId" in told else {})
    event = build_event("GET", OPENAPI, "", {}, None)
    event["requestContext"] |= told
    (server,) = to_answer(api.app(event, LambdaContext())).json["servers"]
    assert urljoin(asked, server["url"]).rstrip("/") == served_at


def test_every_route_is_described_once_and_nothing_else() -> None:
    assert [*operations()] == [(route.method, route.path) for route in ROUTES]
    names = [each["operationId"] for each in operations().values()]
    assert sorted(names) == sorted(ANSWERS)


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.method} {route.path}")
def test_an_operation_has_all_that_its_route_declares(route: Any) -> None:
    operation = operations()[route.method, route.path]
    described = {(each["in"], each["name"]) for each in operation["parameters"]}
    assert described == {(each.place.value, each.name) for each in route.takes}
    in_path = {name for place, name in described if place == "path"}
    assert in_path == set(re.findall(r"\{(\w+)\}", route.path))
    assert ("requestBody" in operation) == (route.body is not None)
    assert (operation["security"] == []) == (route.access is Access.PUBLIC)
    assert operation["summary"]


def test_links_lead_to_operations_and_their_parameters() -> None:
    by_name = {each["operationId"]: each for each in operations().values()}
    for operation in by_name.values():
        for response in operation["responses"].values():
            for link in response.get("links", {}).values():
                known = {each["name"] for each in by_name[link["operationId"]]["parameters"]}
                assert link["parameters"].keys() <= known


def test_every_code_in_the_source_is_described() -> None:
    written = set()
    for path in (ROOT / "chalicelib").rglob("*.py"):
        if "description" not in path.parts:
            found = ast.walk(ast.parse(path.read_text()))
            words = [
                each.value for each in found if isinstance(each, ast.keyword) and each.arg == "code"
            ]
            written |= {each.value for each in words if isinstance(each, ast.Constant)}
    assert written - NOT_ANSWERED - error_codes() == set()


def error_codes() -> set[str]:
    responses = describe()["components"]["responses"].values()
    contents = [each["content"]["application/json"]["schema"] for each in responses]
    schemas = [each.get("anyOf", [each])[0] for each in contents]
    return {code for each in schemas for code in each["allOf"][1]["properties"]["code"]["enum"]}


@pytest.mark.parametrize(
    ("status", "headers", "text"),
    [
        (200, TOLD, HEALTH.replace("true", 'true, "more": 1')),
        (200, TOLD, HEALTH.replace("true", "1")),
        (200, TOLD, "{}"),
        (200, {**KEPT}, HEALTH),
        (200, {**TOLD, "Location": "x"}, HEALTH),
        (200, {**TOLD, "Cache-Control": "no-store"}, HEALTH),
        (304, TOLD, HEALTH),
        (204, TOLD, ""),
        (
            400,
            {**TOLD, "Cache-Control": "no-store"},
            '{"error": "x", "code": "y", "details": [], "request_id": "1"}',
        ),
    ],
)
def test_an_answer_that_is_not_described_fails_the_test_that_sees_it(
    status: int, headers: dict[str, str], text: str
) -> None:
    headers = {"Content-Type": "application/json", **UNIVERSAL, **headers}
    with pytest.raises(AssertionError):
        require_described("GET", "/api/health", ApiAnswer(status, headers, text))


@pytest.mark.parametrize("name", UNIVERSAL)
@pytest.mark.parametrize("method", ["GET", "PATCH"])
@pytest.mark.parametrize("status", [200, 405, 500])
def test_an_answer_without_a_header_of_all_fails_the_test_that_sees_it(
    method: str, status: int, name: str
) -> None:
    headers = {"Content-Type": "application/json", **TOLD, **UNIVERSAL}
    del headers[name]
    with pytest.raises(AssertionError):
        require_described(method, "/api/health", ApiAnswer(status, headers, HEALTH))


def test_the_answer_that_is_described_passes() -> None:
    headers = {"Content-Type": "application/json", **UNIVERSAL, **TOLD}
    require_described("GET", "/api/health", ApiAnswer(200, headers, HEALTH))
    require_described("GET", "/api/health", ApiAnswer(304, headers, ""))


def test_the_page_shows_every_operation_and_loads_nothing(api: Api) -> None:
    answer = api.get("/api/docs", token=None)
    assert answer.status == 200
    for operation in operations().values():
        assert f'<section id="{operation["operationId"]}">' in answer.text
    assert (
        re.findall(
            r"<(?:script|img|link|iframe|object)\b|\bon\w+=|\bstyle=|@import|url\(", answer.text
        )
        == []
    )
    assert {*re.findall(r'(?:href|src)="([^#"]+)', answer.text)} == {"openapi.json"}
    targets = set(re.findall(r'href="#([^"]+)"', answer.text))
    assert targets <= set(re.findall(r'id="([^"]+)"', answer.text))


def test_the_page_lets_its_own_style_in_and_nothing_else(api: Api) -> None:
    answer = api.get("/api/docs")
    (style,) = re.findall("<style>(.*?)</style>", answer.text, re.DOTALL)
    digest = b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = answer.headers["Content-Security-Policy"]
    assert f"style-src 'sha256-{digest}'" in policy
    assert policy.startswith("default-src 'none';")


def test_a_cold_start_does_not_load_the_description() -> None:
    program = (
        "import sys, chalicelib.routes.handler;"
        "print([each for each in sys.modules if 'description' in each or '.shown' in each])"
    )
    found = subprocess.run(  # noqa: S603 - our own interpreter and program
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert found.stdout.strip() == "[]"
