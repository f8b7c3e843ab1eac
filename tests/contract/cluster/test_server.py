"""Who is let in, what is served, and what a path that is not served answers."""

import pytest

from tests.contract.cluster.target import APPLY, Server, build_session, refusal, succeed


def test_a_wrong_token_is_401(server: Server) -> None:
    with build_session(server.session.verify) as session:
        session.headers["authorization"] = "Bearer not-this-one"
        answer = Server(server.url, session).call("GET", "/api/v1/namespaces")
    assert refusal(answer) == (401, "Unauthorized", "Unauthorized")


def test_no_credential_is_refused(server: Server) -> None:
    with build_session(server.session.verify) as session:
        answer = Server(server.url, session).call("GET", "/api/v1/namespaces")
    # 403 where anonymous requests are let in far enough to be refused.
    assert refusal(answer)[0] in {401, 403}


@pytest.mark.parametrize("path", ["/readyz", "/livez"])
def test_a_running_server_says_that_it_is_well(server: Server, path: str) -> None:
    answer = server.call("GET", path)
    assert (answer.status_code, answer.text) == (200, "ok")


def test_the_version_is_one_that_we_know(server: Server) -> None:
    version = succeed(server.call("GET", "/version"))
    assert (version["major"], int(version["minor"].rstrip("+")) >= 34) == ("1", True)


@pytest.mark.parametrize("path", ["/nope", "/apis/nope.example/v1/things"])
def test_a_path_that_is_not_served_is_404_in_plain_text(server: Server, path: str) -> None:
    answer = server.call("GET", path)
    assert (answer.status_code, answer.text.strip()) == (404, "404 page not found")
    assert answer.headers["content-type"].startswith("text/plain")


@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/things",
        "/apis/apps/v1/namespaces/default/pods",
        "/apis/apps/v9/deployments",
        "/api/v1/pods/web",
    ],
)
def test_a_resource_that_a_group_does_not_have_is_a_404_status(server: Server, path: str) -> None:
    code, reason, message = refusal(server.call("GET", path))
    assert (code, reason) == (404, "NotFound")
    assert message == "the server could not find the requested resource"


@pytest.mark.case("W4")
@pytest.mark.parametrize("method", ["GET", "PATCH"])
@pytest.mark.parametrize(
    "path",
    [
        "/apis/nope.example/v1/namespaces/default/things/web",
        "/apis/apps/v9/namespaces/default/deployments/web",
        "/apis/apps/v1/namespaces/default/things/web",
    ],
)
def test_a_404_for_a_kind_that_is_not_served_names_no_object(
    server: Server, method: str, path: str
) -> None:
    answer = server.call(
        method, path, b"{}" if method == "PATCH" else None, content_type=APPLY, fieldManager="alpha"
    )
    assert answer.status_code == 404
    is_json = answer.headers["content-type"].startswith("application/json")
    assert not (is_json and answer.json().get("details", {}).get("name"))


@pytest.mark.case("W4")
def test_a_404_for_an_object_names_it(server: Server) -> None:
    answer = server.call("GET", "/apis/apps/v1/namespaces/default/deployments/nope")
    assert (answer.status_code, answer.json()["details"]["name"]) == (404, "nope")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/api/v1/namespaces/default/configmaps/a"),
        ("PATCH", "/api/v1/namespaces/default/configmaps"),
    ],
)
def test_a_verb_that_a_path_does_not_have_is_405(server: Server, method: str, path: str) -> None:
    code, reason, _ = refusal(server.call(method, path, {}))
    assert (code, reason) == (405, "MethodNotAllowed")


@pytest.mark.parametrize(
    ("path", "kinds"),
    [
        ("/api/v1", {"Namespace", "Pod", "Secret", "ResourceQuota", "LimitRange", "Event"}),
        ("/apis/apps/v1", {"Deployment", "ReplicaSet"}),
        ("/apis/batch/v1", {"Job", "CronJob"}),
        ("/apis/networking.k8s.io/v1", {"NetworkPolicy"}),
        ("/apis/rbac.authorization.k8s.io/v1", {"RoleBinding", "ClusterRole"}),
        ("/apis/discovery.k8s.io/v1", {"EndpointSlice"}),
    ],
)
def test_discovery_names_the_kinds(server: Server, path: str, kinds: set[str]) -> None:
    body = succeed(server.call("GET", path))
    assert body["kind"] == "APIResourceList"
    assert kinds <= {resource["kind"] for resource in body["resources"]}


def test_discovery_names_the_groups(server: Server) -> None:
    body = succeed(server.call("GET", "/apis"))
    groups = {group["name"]: group["preferredVersion"]["groupVersion"] for group in body["groups"]}
    assert (groups["apps"], groups["batch"]) == ("apps/v1", "batch/v1")
    assert succeed(server.call("GET", "/api"))["versions"] == ["v1"]
