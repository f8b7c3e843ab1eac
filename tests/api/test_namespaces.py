"""Provisioning and reading a friend's namespace over HTTP."""

import copy
import math
from typing import Any

import pytest

from infra.local.cluster import ClusterDouble
from tests.cluster_client import (
    ClusterClient,
    create_deployment,
    create_pod,
    create_secret,
    wait_until,
)
from tests.factories import create_friend_body
from tests.harness import Api

PROVISION = "/api/friends/alice/namespace/provision"
STATUS = "/api/friends/alice/namespace/status"
PODS = "/api/friends/alice/namespace/pods"
LOGS = "/api/friends/alice/namespace/logs"
SECRETS = "/api/friends/alice/secrets"
OBJECTS = [
    ("Namespace", "friend-alice"),
    ("RoleBinding", "friend-manager"),
    ("ResourceQuota", "friend-quota"),
    ("LimitRange", "friend-limits"),
    ("NetworkPolicy", "friend-netpol"),
    ("ServiceAccount", "default"),
]


@pytest.fixture
def cluster(kube: ClusterDouble) -> ClusterClient:
    """The cluster, as its own admin sees it."""
    return ClusterClient(kube.kubeconfig())


@pytest.fixture
def alice(api: Api) -> Api:
    """The app, with one friend."""
    api.register_friend()
    return api


def results(answer: Any) -> dict[str, str]:
    return {each["kind"]: each["result"] for each in answer.json["objects"]}


def test_provisioning_twice_changes_nothing(alice: Api, kube: ClusterDouble) -> None:
    kube.requests.clear()
    answer = alice.post(PROVISION)
    assert answer.status == 200
    assert (answer.json["ok"], answer.json["namespace"]) == (True, "friend-alice")
    assert [(each["kind"], each["name"]) for each in answer.json["objects"]] == OBJECTS
    assert set(results(answer).values()) == {"unchanged"}
    assert {request.method for request in kube.requests} == {"GET"}


def test_provisioning_repairs_drift_and_says_what(alice: Api, cluster: ClusterClient) -> None:
    cluster.merge(
        "/api/v1/namespaces/friend-alice/resourcequotas/friend-quota",
        {"spec": {"hard": {"pods": "300"}}},
    )
    cluster.delete("/api/v1/namespaces/friend-alice/limitranges/friend-limits")
    changed = results(alice.post(PROVISION))
    assert changed["ResourceQuota"] == "configured"
    assert changed["LimitRange"] == "created"
    assert list(changed.values()).count("unchanged") == 4
    quota = cluster.get("/api/v1/namespaces/friend-alice/resourcequotas/friend-quota")
    assert quota["spec"]["hard"]["pods"] == "3"


def test_a_lowered_pod_security_level_is_raised_again(alice: Api, cluster: ClusterClient) -> None:
    labels = {"pod-security.kubernetes.io/enforce": "privileged"}
    cluster.merge("/api/v1/namespaces/friend-alice", {"metadata": {"labels": labels}})
    assert results(alice.post(PROVISION))["Namespace"] == "configured"
    found = cluster.get("/api/v1/namespaces/friend-alice")["metadata"]["labels"]
    assert found["pod-security.kubernetes.io/enforce"] == "restricted"


def test_a_dry_run_says_what_would_change_and_changes_nothing(
    alice: Api, cluster: ClusterClient
) -> None:
    cluster.delete("/api/v1/namespaces/friend-alice/limitranges/friend-limits")
    answer = alice.post(f"{PROVISION}?dry_run=true")
    assert results(answer)["LimitRange"] == "created"
    assert results(alice.post(f"{PROVISION}?dry_run=false"))["LimitRange"] == "created"


def test_a_dry_run_of_a_namespace_that_is_not_there(alice: Api, cluster: ClusterClient) -> None:
    cluster.delete_namespace("friend-alice")
    assert set(results(alice.post(f"{PROVISION}?dry_run=true")).values()) == {"created"}
    assert cluster.find("/api/v1/namespaces/friend-alice") is None


def test_h03_a_foreign_namespace_is_neither_adopted_nor_recorded(
    api: Api, cluster: ClusterClient
) -> None:
    foreign = cluster.create_namespace("friend-alice")
    answer = api.post("/api/friends", create_friend_body())
    assert (answer.status, answer.json["code"]) == (409, "namespace_not_ours")
    assert api.get("/api/friends/alice").status == 404
    after = cluster.get("/api/v1/namespaces/friend-alice")
    assert after["metadata"]["resourceVersion"] == foreign["metadata"]["resourceVersion"]


def test_h03_a_namespace_that_lost_our_uid_is_left_alone(
    alice: Api, cluster: ClusterClient, kube: ClusterDouble
) -> None:
    labels = {"friends-api/uid": "somebody-else"}
    cluster.merge("/api/v1/namespaces/friend-alice", {"metadata": {"labels": labels}})
    kube.requests.clear()
    answer = alice.post(PROVISION)
    assert (answer.status, answer.json["code"]) == (409, "namespace_not_ours")
    assert {request.method for request in kube.requests} == {"GET"}


@pytest.mark.parametrize(
    "look", ["namespace/pods", "namespace/status", "namespace/logs/web", "secrets"]
)
def test_h03_a_namespace_that_is_not_the_friends_is_not_looked_into(
    alice: Api, cluster: ClusterClient, look: str
) -> None:
    cluster.create(create_pod("web"))
    wait_until(lambda: alice.get(f"/api/friends/alice/{look}").status == 200)
    labels = {"friends-api/uid": "somebody-else"}
    cluster.merge("/api/v1/namespaces/friend-alice", {"metadata": {"labels": labels}})
    answer = alice.get(f"/api/friends/alice/{look}")
    assert (answer.status, answer.json["code"]) == (409, "namespace_not_ours")


def test_h03_nothing_is_deleted_in_a_namespace_that_is_not_the_friends(
    alice: Api, cluster: ClusterClient, kube: ClusterDouble
) -> None:
    cluster.apply(create_deployment("web"))
    labels = {"friends-api/uid": "somebody-else"}
    cluster.merge("/api/v1/namespaces/friend-alice", {"metadata": {"labels": labels}})
    kube.requests.clear()
    answer = alice.delete("/api/friends/alice/namespace/deployments/web")
    assert (answer.status, answer.json["code"]) == (409, "namespace_not_ours")
    assert {request.method for request in kube.requests} == {"GET"}


def test_h05_a_terminating_namespace_is_waited_for(
    alice: Api, cluster: ClusterClient, kube: ClusterDouble
) -> None:
    kube.timing.termination_seconds = math.inf
    cluster.delete("/api/v1/namespaces/friend-alice")
    answer = alice.post(PROVISION)
    assert (answer.status, answer.json["code"]) == (409, "namespace_terminating")
    assert int(answer.headers["Retry-After"]) > 0


@pytest.mark.parametrize("body", [{"x": 1}, [1]])
def test_provisioning_takes_no_body(alice: Api, body: Any) -> None:
    assert alice.post(PROVISION, body).status == 400
    assert alice.post(PROVISION, {}).status == 200


def test_a_misspelt_dry_run_is_refused_rather_than_run(alice: Api, kube: ClusterDouble) -> None:
    kube.requests.clear()
    for query in ("dryrun=true", "dry_run=1", "dry_run=", "dry_run=true&dry_run=false"):
        assert alice.post(f"{PROVISION}?{query}").status == 400
    assert kube.requests == []


def test_pods_are_listed_with_what_an_agent_needs(alice: Api, cluster: ClusterClient) -> None:
    cluster.apply(create_deployment("web"))
    wait_until(lambda: alice.get(PODS).json and alice.get(PODS).json[0]["ready"])
    (pod,) = alice.get(PODS).json
    assert pod.keys() == {
        *("name", "status", "ready", "restarts", "image", "age"),
        *("reason", "containers"),
    }
    assert (pod["status"], pod["ready"], pod["restarts"]) == ("Running", True, 0)
    assert pod["image"] == "registry.example/web:1"
    assert pod["age"].endswith("Z")
    assert pod["reason"] is None


def test_a_pod_that_does_not_start_says_why(alice: Api, cluster: ClusterClient) -> None:
    cluster.apply(create_deployment("web", image="registry.example/web:does-not-exist"))
    wait_until(lambda: alice.get(PODS).json and alice.get(PODS).json[0]["reason"])
    (pod,) = alice.get(PODS).json
    assert (pod["ready"], pod["reason"]) == (False, "ImagePullBackOff")


def test_status_shows_everything_at_once(alice: Api, cluster: ClusterClient) -> None:
    cluster.apply(create_deployment("web"))
    cluster.apply(
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "web", "namespace": "friend-alice"},
            "spec": {"selector": {"app": "web"}, "ports": [{"port": 80, "targetPort": 8080}]},
        }
    )
    cluster.apply(
        {
            "apiVersion": "traefik.io/v1alpha1",
            "kind": "IngressRoute",
            "metadata": {"name": "expose-web", "namespace": "friend-alice"},
            "spec": {
                "routes": [
                    {
                        "kind": "Rule",
                        "match": "Host(`web-alice.example.net`)",
                        "services": [{"name": "web", "port": 80}],
                    }
                ]
            },
        }
    )
    wait_until(lambda: alice.get(STATUS).json["deployments"][0]["replicas"] == "1/1")
    status = alice.get(STATUS).json
    assert status.keys() == {
        *("pods", "services", "deployments", "quota", "ingressRoutes"),
        *("events", "jobs", "cronjobs"),
    }
    (service,) = status["services"]
    assert service.keys() == {"name", "type", "clusterIP", "ports"}
    assert service["ports"][0]["port"] == 80
    (deployment,) = status["deployments"]
    assert (deployment["name"], deployment["image"]) == ("web", "registry.example/web:1")
    assert status["ingressRoutes"] == [
        {
            "name": "expose-web",
            "hostname": "web-alice.example.net",
            "service": "web",
            "problem": None,
        }
    ]
    assert status["quota"]["used"]["pods"] == "1"
    assert status["events"] == []


def test_status_explains_pods_that_quota_refuses(alice: Api, cluster: ClusterClient) -> None:
    cluster.apply(create_deployment("web", replicas=4))
    wait_until(lambda: alice.get(STATUS).json["events"])
    status = alice.get(STATUS).json
    assert status["deployments"][0]["replicas"] == "3/4"
    event = status["events"][0]
    assert (event["kind"], event["reason"]) == ("ReplicaSet", "FailedCreate")
    assert "exceeded quota" in event["message"]


def test_status_explains_pods_that_pod_security_refuses(alice: Api, cluster: ClusterClient) -> None:
    deployment = create_deployment("web")
    del deployment["spec"]["template"]["spec"]["containers"][0]["securityContext"]
    cluster.apply(deployment)
    wait_until(lambda: alice.get(STATUS).json["events"])
    assert "violates PodSecurity" in alice.get(STATUS).json["events"][0]["message"]


def test_status_of_a_namespace_that_is_gone_is_empty(alice: Api, cluster: ClusterClient) -> None:
    cluster.delete_namespace("friend-alice")
    status = alice.get(STATUS).json
    assert status["quota"] is None
    assert status["pods"] == []


def test_f01_secrets_are_names_types_keys_and_dates(alice: Api, cluster: ClusterClient) -> None:
    cluster.apply(create_secret("db"))
    answer = alice.get(SECRETS)
    secret = next(each for each in answer.json if each["name"] == "db")
    assert secret.keys() == {"name", "type", "keys", "created"}
    assert (secret["type"], sorted(secret["keys"])) == ("Opaque", ["password", "user"])
    assert "canary" not in answer.text
    assert "Y2FuYXJ5" not in answer.text


@pytest.mark.parametrize(
    ("data", "keys"),
    [
        (["canary"], []),
        ("canary", []),
        ({"annotations": "x", "data": "y"}, ["annotations", "data"]),
    ],
)
def test_f01_only_the_names_of_a_mapping_are_keys(
    alice: Api, kube: ClusterDouble, data: Any, keys: list[str]
) -> None:
    secret = {"metadata": {"name": "db"}, "type": "Opaque", "data": data}
    kube.fail_next(status=200, body={"metadata": {}, "items": [secret]}, match="/secrets")
    answer = alice.get(SECRETS)
    assert answer.json[0]["keys"] == keys
    assert "canary" not in answer.text


def test_f02_pods_show_no_environment_arguments_or_annotations(
    alice: Api, cluster: ClusterClient
) -> None:
    cluster.create(create_pod("web"))
    assert "canary" not in alice.get(PODS).text + alice.get(STATUS).text


def test_logs_are_the_last_lines(alice: Api, cluster: ClusterClient) -> None:
    cluster.create(create_pod("web"))
    wait_until(lambda: alice.get(PODS).json[0]["ready"])
    answer = alice.get(f"{LOGS}/web").json
    assert answer.keys() == {"pod", "container", "tail", "logs", "truncated"}
    assert (answer["pod"], answer["container"], answer["tail"]) == ("web", "web", 100)
    assert len(answer["logs"].splitlines()) == 100
    assert len(alice.get(f"{LOGS}/web?tail=3").json["logs"].splitlines()) == 3
    most = alice.get(f"{LOGS}/web?tail=501").json
    assert (most["tail"], len(most["logs"].splitlines())) == (500, 500)


def test_e02_e03_a_log_is_bounded_in_lines_and_bytes_and_never_followed(
    alice: Api, cluster: ClusterClient, kube: ClusterDouble
) -> None:
    cluster.create(create_pod("web"))
    wait_until(lambda: alice.get(PODS).json[0]["ready"])
    kube.requests.clear()
    for query in ("", "?tail=999999", "?previous=false", "?since_seconds=60&container=web"):
        assert alice.get(f"{LOGS}/web{query}").status == 200
    asked = [each.query for each in kube.requests if each.path.endswith("/log")]
    assert len(asked) == 4
    for parameters in asked:
        assert 1 <= int(parameters["tailLines"]) <= 500
        assert 1 <= int(parameters["limitBytes"]) <= 5_000_000
        assert "follow" not in parameters


@pytest.mark.case("K11")
@pytest.mark.parametrize(
    ("width", "tail", "shown"),
    [(3000, 100, 86), (2600, 500, 99), (5000, 500, 52), (10_000, 500, 26), (2600, 90, 90)],
)
def test_the_oldest_lines_of_a_log_that_is_too_long_are_cut(
    alice: Api, cluster: ClusterClient, width: int, tail: int, shown: int
) -> None:
    pod = create_pod("web")
    pod["spec"]["containers"][0]["args"] = [f"# wide {width}"]
    cluster.create(pod)
    wait_until(lambda: alice.get(PODS).json[0]["ready"])
    answer = alice.get(f"{LOGS}/web?tail={tail}").json
    lines = answer["logs"].splitlines()
    assert "line 600 from" in lines[-1]
    assert {line.count("é") for line in lines} == {width}
    assert "\ufffd" not in answer["logs"]
    assert (len(lines), answer["tail"], answer["truncated"]) == (shown, tail, shown < tail)
    text = alice.get(f"{LOGS}/web?tail={tail}", headers={"Accept": "text/plain"})
    assert text.headers.get("X-Log-Truncated") == ("true" if shown < tail else None)
    assert "line 600 from" in text.text.splitlines()[-1]


@pytest.mark.parametrize(
    ("accept", "is_text"),
    [(["text/plain", "*/*"], True), (["application/json", "text/plain"], False)],
)
def test_two_lines_of_what_is_accepted_are_one_list(
    alice: Api, cluster: ClusterClient, accept: list[str], is_text: bool
) -> None:
    cluster.create(create_pod("web"))
    wait_until(lambda: alice.get(PODS).json[0]["ready"])
    answer = alice.get(f"{LOGS}/web", headers={"Accept": accept})
    assert answer.status == 200
    assert answer.headers["Content-Type"].startswith("text/plain") is is_text


def test_f06_logs_as_text_are_text_and_nothing_else(alice: Api, cluster: ClusterClient) -> None:
    cluster.create(create_pod("web"))
    wait_until(lambda: alice.get(PODS).json[0]["ready"])
    answer = alice.get(f"{LOGS}/web?tail=2", headers={"Accept": "text/plain"})
    assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Cache-Control"] == "no-store"
    assert len(answer.text.splitlines()) == 2
    assert not answer.text.startswith("{")


def test_logs_of_what_has_none_say_what_to_do(alice: Api, cluster: ClusterClient) -> None:
    assert alice.get(f"{LOGS}/web").json["code"] == "pod_not_found"
    cluster.create(create_pod("web", image="registry.example/web:does-not-exist"))
    wait_until(lambda: alice.get(PODS).json[0]["reason"])
    waiting = alice.get(f"{LOGS}/web")
    assert (waiting.status, waiting.json["code"]) == (409, "container_not_started")
    other = alice.get(f"{LOGS}/web?container=other")
    assert (other.status, other.json["code"]) == (404, "container_not_found")
    previous = alice.get(f"{LOGS}/web?previous=true")
    assert (previous.status, previous.json["code"]) == (404, "previous_log_not_found")


def test_a_deployment_is_deleted_once(alice: Api, cluster: ClusterClient) -> None:
    cluster.apply(create_deployment("web"))
    url = "/api/friends/alice/namespace/deployments/web"
    assert alice.delete(url).json["ok"] is True
    wait_until(lambda: alice.get(PODS).json == [])
    gone = alice.delete(url)
    assert (gone.status, gone.json["code"]) == (404, "deployment_not_found")


def test_l06_a_deletion_whose_answer_was_lost_is_a_success(
    alice: Api, cluster: ClusterClient, kube: ClusterDouble
) -> None:
    cluster.apply(create_deployment("web"))
    kube.fail_next(drop=True, after=True, match="DELETE")
    assert alice.delete("/api/friends/alice/namespace/deployments/web").status == 200


@pytest.mark.parametrize("mode", [{"drop": True}, {"drop": True, "after": True}, {"status": 503}])
def test_l06_registering_survives_one_fault_at_any_cluster_call(
    api: Api, kube: ClusterDouble, mode: dict[str, Any]
) -> None:
    api.register_friend("clean")
    calls = len([each for each in kube.requests if "friend-clean" in each.path]) + 1
    for number in range(calls):
        kube.requests.clear()
        friend_id = f"alice{number}"
        # The n-th call fails once; the ones before it pass a fault that changes nothing.
        _fail_nth(kube, number, mode)
        answer = api.post("/api/friends", create_friend_body(id=friend_id))
        assert answer.status == 201, (number, answer.text)
        unchanged = api.post(f"/api/friends/{friend_id}/namespace/provision")
        assert set(results(unchanged).values()) == {"unchanged"}, number


def _fail_nth(kube: ClusterDouble, number: int, mode: dict[str, Any]) -> None:
    kinds = ["namespaces", "rolebindings", "resourcequotas", "limitranges", "networkpolicies"]
    match = copy.copy(kinds)[number % len(kinds)]
    kube.fail_next(match=f"(POST|PATCH) .*{match}", **mode)
