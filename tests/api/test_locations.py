"""Where an answer leads: absolute paths, with what the gateway's URLs have before the API's."""

from typing import Any
from urllib.parse import urljoin, urlsplit

import pytest

from chalicelib.routes.locations import base_path_of
from tests.factories import create_friend_body
from tests.harness import Api, LambdaContext, build_event, to_answer
from tests.manifests import create_config_map_manifest

APPLY = "/api/friends/alice/namespace/apply"
LOCAL = {"GATEWAY_PATH": "/_aws/execute-api/{apiId}"}
# What stands before the API's paths: in the URL, in the event's context, and by setting.
PLACES: dict[str, tuple[str, str, dict[str, str]]] = {
    "a stage": ("https://a1.execute-api.eu-west-1.amazonaws.com/prod", "/prod", {}),
    "a custom domain with a base path": ("https://api.example/v1", "/v1", {}),
    "a custom domain without one": ("https://api.example", "", {}),
    "a base path of two parts": ("https://api.example/friends/v1", "/friends/v1", {}),
    "the local stack": ("http://127.0.0.1:4566/_aws/execute-api/a1/local", "/local", LOCAL),
}


def ask(
    api: Api, before: str, method: str, path: str, body: bytes | None = None, **headers: str
) -> Any:
    route, _, query = path.partition("?")
    sent = {name.replace("_", "-"): [value] for name, value in headers.items()}
    sent |= {"Host": ["evil.example"], "X-Forwarded-Host": ["evil.example"]}
    sent |= {"Content-Type": ["application/json"]} if body else {}
    sent |= {"Authorization": ["Bearer fapi_admin-token-0123456789"]}
    event = build_event(method, route, query, sent, body)
    event["requestContext"] |= {"path": f"{before}{route}", "apiId": "a1"}
    return to_answer(api.app(event, LambdaContext()))


@pytest.mark.case("W8")
@pytest.mark.parametrize("slash", ["/", ""])
@pytest.mark.parametrize("place", PLACES)
def test_location_leads_to_what_was_made_with_and_without_a_slash_at_the_end(
    backend: None, invocations: list[Any], place: str, slash: str
) -> None:
    url, before, settings = PLACES[place]
    api = Api(settings)
    api.register_friend()
    manifest = str(create_config_map_manifest()).replace("'", '"').encode()
    applied = ask(api, before, "POST", f"{APPLY}{slash}?wait=ready", manifest)
    made = ask(api, before, "POST", f"/api/friends{slash}", b'{"id":"bob","display_name":"B"}')
    deleted = ask(api, before, "DELETE", f"/api/friends/alice{slash}?confirm=alice")
    told = applied.json["operation"]["url"], "/api/friends/bob", deleted.json["operation"]["url"]
    for answer, path in zip((applied, made, deleted), told, strict=True):
        location = answer.headers["Location"]
        assert location == f"{urlsplit(url).path}{path}"
        assert urljoin(f"{url}{APPLY}{slash}", location) == f"{url}{path}"


@pytest.mark.case("W8")
@pytest.mark.parametrize("slash", ["/", ""])
@pytest.mark.parametrize("place", PLACES)
def test_link_leads_to_the_next_page(backend: None, place: str, slash: str) -> None:
    url, before, settings = PLACES[place]
    api = Api(settings)
    for name in ("alice", "bob"):
        api.register_friend(name)
        assert api.post(f"/api/friends/{name}/namespace/provision").status == 200
    for value in ("1", "2"):
        api.post(APPLY, create_config_map_manifest(data={"value": value}))
    for path in ("/api/friends", "/api/friends/alice/operations"):
        first = ask(api, before, "GET", f"{path}{slash}?limit=1")
        link = first.headers["Link"].split(">")[0].removeprefix("<")
        assert link.startswith(f"{urlsplit(url).path}{path}?limit=1&cursor=")
        second = api.get(link.removeprefix(urlsplit(url).path))
        assert len(second.json) == 1
        assert second.json != first.json


@pytest.mark.case("W8")
def test_an_answer_that_is_kept_leads_on_wherever_its_repeat_is_asked_for(
    api: Api,
) -> None:
    body = b'{"id":"bob","display_name":"B"}'
    first = ask(api, "/prod", "POST", "/api/friends", body, Idempotency_Key="k")
    again = ask(api, "/v1", "POST", "/api/friends/", body, Idempotency_Key="k")
    assert again.headers["Idempotency-Replayed"] == "true"
    assert first.headers["Location"] == "/prod/api/friends/bob"
    assert again.headers["Location"] == "/v1/api/friends/bob"


@pytest.mark.case("W8")
@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/prod/api/friends/alice/namespace/apply/", "/prod"),
        ("//prod//api/friends//alice/namespace/apply//", "/prod"),
        ("//evil.example/api/friends/alice/namespace/apply", "/evil.example"),
        ("/api/friends/alice/namespace/apply", ""),
        ("/api/friends/alice/namespace", ""),
        ("/prod/api/friends/alice/namespace/expose", ""),
        ("/pr\r\nod/api/friends/alice/namespace/apply", ""),
        ("/<x>/api/friends/alice/namespace/apply", ""),
        ("/api/api/friends/alice/namespace/apply", "/api"),
        ("", ""),
        (None, ""),
    ],
)
def test_the_base_path_is_what_stands_before_the_route(path: str | None, expected: str) -> None:
    route = "/api/friends/{id}/namespace/apply"
    assert base_path_of(route, {"path": path}) == expected


@pytest.mark.case("W8")
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/health/"),
        ("GET", "/api/friends/alice/"),
        ("GET", "/api/friends/alice/operations/"),
        ("PUT", "/api/friends/alice/"),
        ("POST", "/api/friends/alice/namespace/provision/"),
    ],
)
def test_a_slash_at_the_end_is_the_same_route(api: Api, method: str, path: str) -> None:
    api.register_friend()
    body = create_friend_body() if method == "PUT" else None
    if body:
        del body["id"]
    assert api.call(method, path, json_body=body).status == 200
