"""What every route does alike: bodies, parameters, errors, ids. Threats D, E and F07."""

import itertools
import json
import logging
import re
from typing import Any

import boto3
import pytest

from chalicelib.logs import JsonFormatter
from chalicelib.routes.table import ROUTES, Access
from chalicelib.services.friends import Friends
from infra.local.cluster import ClusterDouble
from tests.cluster_client import ClusterClient, create_pod, wait_until
from tests.factories import ADMIN_TOKEN, create_friend_body, create_kubeconfig
from tests.harness import Api
from tests.manifests import create_config_map_manifest

ERROR_FIELDS = {"error", "code", "details", "request_id"}
JSON = "application/json"


def post(api: Api, body: bytes, content_type: str | None = JSON, **headers: str) -> Any:
    types = [] if content_type is None else [content_type]
    sent: dict[str, str | list[str]] = {**headers, "Content-Type": types}
    return api.call("POST", "/api/friends", raw_body=body, headers=sent)


PUBLIC = {route.path for route in ROUTES if route.access is Access.PUBLIC}


def test_health_needs_no_token_and_asks_nobody(api: Api, kube: ClusterDouble) -> None:
    answer = api.get("/api/health", token=None)
    assert (answer.status, answer.json["ok"], answer.json["status"]) == (200, True, "healthy")
    assert kube.requests == []


def test_every_answer_carries_its_request_id_and_is_not_stored(api: Api) -> None:
    for answer in (api.get("/api/friends"), api.get("/api/friends/bob")):
        assert answer.headers["X-Request-Id"]
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["Content-Type"] == JSON
    assert api.get("/api/friends/bob").json["request_id"]


def test_no_answer_may_be_sniffed_stored_or_had_in_the_clear(api: Api) -> None:
    """Every method on every path, with a token and without: also Chalice's own refusals."""
    urls = {re.sub(r"\{\w+\}", "alice", route.path) for route in ROUTES}
    methods = ("GET", "POST", "PUT", "DELETE", "PATCH")
    for method, url, token in itertools.product(methods, urls, (None, ADMIN_TOKEN)):
        headers = api.call(method, url, token=token).headers
        assert headers["X-Content-Type-Options"] == "nosniff"
        is_public = method == "GET" and url in PUBLIC
        assert headers["Cache-Control"].startswith("public, " if is_public else "no-store")
        assert headers["Strict-Transport-Security"] == "max-age=31536000"


def test_every_error_has_one_shape(api: Api) -> None:
    answers = [
        api.get("/api/friends", token=None),
        api.get("/api/friends/bob"),
        api.post("/api/friends", {"id": "A"}),
        post(api, b"{"),
        post(api, b"x", "text/plain"),
        api.get("/api/friends?x=1"),
        api.call("PATCH", "/api/friends"),
    ]
    assert [answer.status for answer in answers] == [401, 404, 400, 400, 415, 400, 405]
    for answer in answers:
        assert answer.json.keys() == ERROR_FIELDS
        assert answer.headers["X-Request-Id"] == answer.json["request_id"]


def test_the_request_id_is_in_the_log_line(api: Api, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="chalicelib")
    answer = api.get("/api/friends/bob")
    (record,) = [each for each in caplog.records if each.getMessage() == "request"]
    logged = json.loads(JsonFormatter().format(record))
    assert logged["request_id"] == answer.headers["X-Request-Id"]
    assert (logged["method"], logged["route"], logged["status"]) == (
        "GET",
        "/api/friends/{id}",
        404,
    )


def test_d01_a_large_body_is_413(api: Api) -> None:
    assert post(api, b'"' + b"x" * (256 * 1024) + b'"').status == 413


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 100_000,
        b'{"id": NaN}',
        b'{"id": 1e999}',
        b'{"id": "a", "id": "b"}',
        b'{"display_name": "\\ud800"}',
        b'{"display_name": "\xff"}',
        '{"id": "alice"}'.encode("utf-16"),
        b"\xef\xbb\xbf{}",
    ],
)
def test_d02_to_d05_what_is_not_plain_json_is_400(api: Api, body: bytes) -> None:
    answer = post(api, body)
    assert (answer.status, answer.json["code"]) == (400, "malformed_json")


@pytest.mark.parametrize("body", [b"null", b'""', b"[]", b'"x"', b"1", b"true", b""])
def test_d06_a_body_that_is_no_object_is_400(api: Api, body: bytes) -> None:
    assert post(api, body).status == 400


@pytest.mark.parametrize(
    "content_type",
    [
        *["text/plain", "application/json; charset=utf-16", "multipart/form-data; boundary=x"],
        *["application/x-www-form-urlencoded", "application/jsonx", "", "application/json, text/a"],
        *["application/yaml", "text/yaml", "application/x-yaml", None],
    ],
)
def test_d06_d07_a_body_that_is_not_declared_json_is_415(
    api: Api, content_type: str | None
) -> None:
    assert post(api, b"id: alice", content_type).status == 415


@pytest.mark.parametrize(
    "content_type", [JSON, "application/json; charset=utf-8", 'Application/JSON;charset="UTF-8"']
)
def test_json_may_name_its_charset(api: Api, content_type: str) -> None:
    assert post(api, b'{"id": "alice", "display_name": "A"}', content_type).status == 201


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "identity, gzip"])
def test_d08_a_compressed_body_is_415(api: Api, encoding: str) -> None:
    answer = post(api, b"\x1f\x8b\x08", **{"Content-Encoding": encoding})
    assert answer.status == 415


@pytest.mark.parametrize("method", ["PATCH", "HEAD", "OPTIONS", "TRACE", "POST", "get", ""])
def test_d09_another_method_is_405(api: Api, method: str) -> None:
    answer = api.call(method, "/api/friends/alice")
    assert (answer.status, answer.json["code"]) == (405, "method_not_allowed")
    assert "GET" in answer.headers["Allow"]


HOSTILE_NAMES = [
    *[".", "..", "../x", "a\\b", "..%2f..%2f", "%2e%2e", "%252e", "a%00", "a\x00", "alice\n"],
    *["x" * 254, "Alice", "alic١", "аlice", "a\u200db", "😀", " alice", "alice ", "a;b", "a?b"],
    *["-alice", "alice-", "a_b", "*", "'", '"', "a%20b"],
]


@pytest.mark.parametrize("name", HOSTILE_NAMES)
def test_e01_a_hostile_id_is_400_and_nothing_is_called(
    api: Api, kube: ClusterDouble, name: str
) -> None:
    api.register_friend()
    kube.requests.clear()
    for url in (f"/api/friends/{name}", f"/api/friends/{name}/namespace/pods"):
        if "/" in name or "?" in name:
            continue
        answer = api.get(url)
        assert (answer.status, answer.json["details"][0]["path"]) == (400, "path:id")
    assert kube.requests == []


@pytest.mark.parametrize("name", [each for each in HOSTILE_NAMES if not {"/", "?"} & set(each)])
def test_e01_a_hostile_object_name_is_400_and_nothing_is_called(
    api: Api, kube: ClusterDouble, name: str
) -> None:
    api.register_friend()
    kube.requests.clear()
    pod = api.get(f"/api/friends/alice/namespace/logs/{name}")
    deployment = api.delete(f"/api/friends/alice/namespace/deployments/{name}")
    agent = api.put(f"/api/friends/alice/agents/{name}", {"status": "active"})
    assert {pod.status, deployment.status, agent.status} == {400}
    assert kube.requests == []


@pytest.mark.parametrize(
    "query",
    [
        *["tail=-1", "tail=0", "tail=NaN", "tail=١٢", "tail=1_000", "tail=+5", "tail=1.5"],
        *["tail= 5", "tail=", "tail=1&tail=2", "tail=1e3", "tail=0x10", "tail=05"],
        *[
            "since_seconds=-1",
            "since_seconds=0",
            "sinceSeconds=1",
            "since_seconds=2147483648",
            "previous=x",
            "previous=1",
        ],
        "since_seconds=2147483648",
        *["follow=true", "container=..", "container=a%26follow=true", "container=", "container=A"],
    ],
)
def test_e02_e03_a_hostile_log_parameter_is_400_and_nothing_is_called(
    api: Api, kube: ClusterDouble, query: str
) -> None:
    api.register_friend()
    kube.requests.clear()
    assert api.get(f"/api/friends/alice/namespace/logs/web?{query}").status == 400
    assert kube.requests == []


def test_no_more_than_64_characters_of_input_come_back(api: Api) -> None:
    long = "Z" * 5000
    answers = [
        api.post("/api/friends", {"id": long, "display_name": long, long: long}),
        api.get(f"/api/friends/{long}"),
        api.get(f"/api/friends?{long}=1"),
    ]
    for answer in answers:
        assert answer.status == 400
        assert "Z" * 65 not in answer.text


def test_many_faults_make_a_short_answer(api: Api) -> None:
    answer = api.post("/api/friends", {f"unknown{number}": 1 for number in range(5000)})
    assert (answer.status, len(answer.json["details"])) == (400, 500)


def test_f07_a_bug_is_a_plain_500_and_its_message_is_never_logged(
    api: Api, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object, **__: object) -> None:
        message = "canary-in-a-message"
        raise RuntimeError(message)

    monkeypatch.setattr(Friends, "list_page", fail)
    answer = api.get("/api/friends")
    assert (answer.status, answer.json["code"]) == (500, "internal_error")
    assert "Traceback" not in answer.text
    assert "canary" not in answer.text
    (record,) = (each for each in caplog.records if each.exc_info)
    assert "canary" not in JsonFormatter().format(record)


def test_an_upstream_that_is_away_is_503_with_retry_after(api: Api, kube: ClusterDouble) -> None:
    api.register_friend()
    kube.fail_next(drop=True, times=50)
    answer = api.get("/api/friends/alice/namespace/pods", remaining_seconds=6)
    assert (answer.status, answer.json["code"]) == (503, "cluster_unreachable")
    assert int(answer.headers["Retry-After"]) > 0


def test_l08_an_upstream_that_answers_nonsense_is_502(api: Api, kube: ClusterDouble) -> None:
    api.register_friend()
    faults: tuple[dict[str, Any], ...] = (
        {"status": 200, "body": b"<html>canary</html>"},
        {"status": 403, "body": {"message": "canary"}},
        {"status": 301, "headers": {"Location": "https://127.0.0.1:1/canary"}},
        {"status": 418, "body": b"canary"},
    )
    for fault in faults:
        kube.fail_next(**fault)
        answer = api.get("/api/friends/alice/namespace/pods")
        assert answer.status == 502, fault
        assert "canary" not in answer.text


ITEM = {"metadata": {"name": "x"}}


@pytest.mark.parametrize("match", ["", "/friend-alice/"], ids=["all", "all but the namespace"])
@pytest.mark.parametrize(
    "body",
    [
        {},
        [],
        {"items": None, "metadata": {}},
        {"items": "x", "metadata": {}},
        {"items": [1], "metadata": {}},
        {"items": [{}], "metadata": {}},
        {"items": [{"metadata": {"name": 7}}], "metadata": {}},
        {"items": [], "metadata": None},
        {"items": [ITEM | {"spec": "x"}], "metadata": {}},
        {"items": [ITEM | {"spec": {"containers": "x"}}], "metadata": {}},
        {"items": [ITEM | {"spec": {"containers": [{}]}, "status": [1]}], "metadata": {}},
        {"items": [ITEM | {"spec": {"routes": [1], "ports": [1]}}], "metadata": {}},
    ],
)
def test_l08_a_200_of_another_shape_is_never_a_500(
    api: Api, kube: ClusterDouble, body: Any, match: str
) -> None:
    api.register_friend()
    namespace = "/api/friends/alice/namespace"
    for url in (f"{namespace}/pods", f"{namespace}/status", f"{namespace}/logs/x"):
        kube.fail_next(status=200, body=body, times=9, match=match)
        assert api.get(url).status in {200, 404, 409, 502}, url
        kube.clear()
    kube.fail_next(status=200, body=body, times=9, match=match)
    assert api.get("/api/friends/alice/secrets").status in ({200, 502} if match else {409, 502})
    kube.clear()
    kube.fail_next(status=200, body=body, times=9)
    assert api.post(f"{namespace}/provision").status in {409, 502}


def test_l08_a_passing_fault_of_the_cluster_is_not_seen(api: Api, kube: ClusterDouble) -> None:
    api.register_friend()
    faults: tuple[dict[str, Any], ...] = (
        {"status": 429, "headers": {"Retry-After": "1"}},
        {"status": 500},
        {"drop": True},
    )
    for fault in faults:
        kube.fail_next(**fault)
        assert api.get("/api/friends/alice/namespace/pods").status == 200


@pytest.mark.parametrize("status", [400, 422])
@pytest.mark.parametrize("path", ["namespace/pods", "namespace/status", "secrets"])
def test_a_read_that_the_cluster_refuses_is_no_fault_of_the_clients(
    api: Api, kube: ClusterDouble, status: int, path: str
) -> None:
    api.register_friend()
    kube.fail_next(status=status, times=99)
    answer = api.get(f"/api/friends/alice/{path}")
    assert (answer.status, answer.json["code"]) == (502, "cluster_failed")


def test_a_log_that_ended_while_it_was_asked_for_is_502(api: Api, kube: ClusterDouble) -> None:
    api.register_friend()
    cluster = ClusterClient(kube.kubeconfig())
    cluster.create(create_pod("web"))
    wait_until(lambda: api.get("/api/friends/alice/namespace/pods").json[0]["ready"])
    kube.fail_next(status=400, match="/log")
    answer = api.get("/api/friends/alice/namespace/logs/web")
    assert (answer.status, answer.json["code"]) == (502, "cluster_failed")


TERMINATING = {"details": {"causes": [{"reason": "NamespaceTerminating", "message": "canary"}]}}
HELD = {"details": {"causes": [{"reason": "FieldManagerConflict", "message": "canary"}]}}
POLICY = {"message": "x is forbidden: ValidatingAdmissionPolicy 'canary' denied request: canary"}
WEBHOOK = {"message": 'admission webhook "canary" denied the request: canary'}


@pytest.mark.parametrize(
    ("upstream", "body", "expected"),
    [
        (400, {}, (422, "cluster_refused")),
        (422, {}, (422, "cluster_refused")),
        (403, {}, (502, "cluster_forbidden")),
        (403, WEBHOOK, (422, "cluster_policy")),
        (403, POLICY, (422, "cluster_policy")),
        (422, POLICY, (422, "cluster_policy")),
        (403, TERMINATING, (422, "namespace_terminating")),
        (409, TERMINATING, (422, "namespace_terminating")),
        (409, HELD, (422, "field_conflict")),
        (410, {}, (502, "cluster_failed")),
        (500, {"message": "failed calling webhook: canary timed out"}, (502, "cluster_failed")),
        (429, {}, (503, "cluster_unavailable")),
        (503, {}, (503, "cluster_unavailable")),
        (504, {}, (503, "cluster_unavailable")),
    ],
)
def test_l08_what_the_cluster_says_to_a_write_is_told_by_a_code(
    backend: None, kube: ClusterDouble, upstream: int, body: Any, expected: tuple[int, str]
) -> None:
    api = Api()
    api.register_friend()
    fault = {"status": upstream, "body": {"message": "canary"} | body, "times": 50}
    kube.fail_next(match="PATCH .*/configmaps/", **fault)
    url = "/api/friends/alice/namespace/apply?dry_run=true"
    answer = api.post(url, create_config_map_manifest())
    told = [answer.json["code"], *(each["code"] for each in answer.json.get("results", []))]
    assert (answer.status, expected[1] in told) == (expected[0], True), answer.text
    assert "canary" not in answer.text
    assert "Retry-After" in answer.headers or answer.status != 503


def test_out_of_time_is_504(api: Api, kube: ClusterDouble) -> None:
    api.register_friend()
    answer = api.get("/api/friends/alice/namespace/pods", remaining_seconds=2.5)
    assert (answer.status, answer.json["code"]) == (504, "out_of_time")


def test_l09_a_missing_table_is_502_and_says_nothing_of_aws(api: Api) -> None:
    boto3.client("dynamodb").delete_table(TableName="friends")
    answer = api.get("/api/friends")
    assert (answer.status, answer.json["code"]) == (502, "dynamodb_failed")
    assert "Requested resource" not in answer.text


@pytest.mark.parametrize(
    "config",
    [
        create_kubeconfig(user={"exec": {"command": "canary"}}),
        create_kubeconfig(user={"tokenFile": "/canary"}),
        create_kubeconfig(cluster={"proxy-url": "http://canary.example"}),
        create_kubeconfig(server="https://169.254.169.254/canary"),
        create_kubeconfig(user={"token": "canary", "as": "admin"}),
        create_kubeconfig(users=None),
        "users: [{token: canary",
        "x",
    ],
)
def test_f04_j01_to_j06_a_kubeconfig_that_is_refused_is_never_used(
    api: Api, kube: ClusterDouble, config: Any
) -> None:
    api.register_friend()
    text = config if isinstance(config, str) else json.dumps(config)
    store_kubeconfig(text)
    kube.requests.clear()
    answer = Api().get("/api/friends/alice/namespace/pods")
    assert (answer.status, answer.json["code"]) == (502, "cluster_misconfigured")
    assert "canary" not in answer.text
    assert kube.requests == []


def store_kubeconfig(text: str) -> None:
    secrets = boto3.client("secretsmanager")
    secrets.put_secret_value(SecretId="friends/kubeconfig/main", SecretString=text)


def test_l10_of_a_rotated_kubeconfig_the_current_one_counts(api: Api, kube: ClusterDouble) -> None:
    api.register_friend()
    for text, status in (("x", 502), (kube.kubeconfig(), 200), ("x", 502)):
        store_kubeconfig(text)
        assert Api().get("/api/friends/alice/namespace/pods").status == status


@pytest.mark.parametrize("is_gone", [True, False])
def test_l10_a_missing_kubeconfig_is_a_clear_502(api: Api, is_gone: bool) -> None:
    api.register_friend()
    secrets = boto3.client("secretsmanager")
    # Without is_gone it is on its way out: thirty days in which it can be had back.
    secrets.delete_secret(SecretId="friends/kubeconfig/main", ForceDeleteWithoutRecovery=is_gone)
    answer = Api().get("/api/friends/alice/namespace/pods")
    assert (answer.status, answer.json["code"]) == (502, "cluster_misconfigured")


def test_j08_refused_credentials_are_reloaded_once(api: Api, kube: ClusterDouble) -> None:
    api.register_friend()
    kube.fail_next(status=401)
    assert api.get("/api/friends/alice/namespace/pods").status == 200
    kube.requests.clear()
    kube.fail_next(status=401, times=50)
    answer = api.get("/api/friends/alice/namespace/pods")
    assert (answer.status, answer.json["code"]) == (502, "cluster_auth")
    # The namespace and its pods, each twice.
    assert len(kube.requests) == 2 * 2


def test_the_table_of_routes_has_no_row_twice() -> None:
    rows = [(route.method, route.path) for route in ROUTES]
    assert len(rows) == len(set(rows))


def test_registering_with_an_admin_token_names_no_agent(api: Api) -> None:
    api.post("/api/friends", create_friend_body(), token=ADMIN_TOKEN)
    assert api.get("/api/friends/alice").json["friendships"] == []
