"""The product's own flows on a real API server, with no more rights than it ships with."""

import copy
from typing import Any

from tests.cluster_client import ClusterClient, create_deployment, create_pod, wait_until
from tests.factories import create_friend_body
from tests.harness import Api


def in_namespace(manifest: dict[str, Any], friend_id: str) -> dict[str, Any]:
    moved = copy.deepcopy(manifest)
    moved["metadata"]["namespace"] = f"friend-{friend_id}"
    return moved


def results(answer: Any) -> set[str]:
    assert answer.status == 200, answer.text
    return {each["result"] for each in answer.json["objects"]}


def replicas_and_pods(status: Any) -> tuple[str, str]:
    body = status.json
    return body["deployments"][0]["replicas"], body["quota"]["used"].get("pods")


def test_a_friend_is_registered_and_provisioned_once(api: Api, friend_id: str) -> None:
    answer = api.post("/api/friends", create_friend_body(id=friend_id))
    assert (answer.status, answer.json["phase"]) == (201, "ready"), answer.text
    assert results(api.post(f"/api/friends/{friend_id}/namespace/provision")) == {"unchanged"}
    dry_run = api.post(f"/api/friends/{friend_id}/namespace/provision?dry_run=true")
    assert results(dry_run) == {"unchanged"}


def test_drift_is_repaired(api: Api, admin: ClusterClient, friend_id: str) -> None:
    api.register_friend(friend_id)
    namespace = f"/api/v1/namespaces/friend-{friend_id}"
    admin.merge(f"{namespace}/resourcequotas/friend-quota", {"spec": {"hard": {"pods": "300"}}})
    admin.delete(f"{namespace}/limitranges/friend-limits")
    labels = {"pod-security.kubernetes.io/enforce": "privileged"}
    admin.merge(namespace, {"metadata": {"labels": labels}})
    url = f"/api/friends/{friend_id}/namespace/provision"
    changed = {each["kind"]: each["result"] for each in api.post(url).json["objects"]}
    assert changed["ResourceQuota"] == "configured"
    assert changed["LimitRange"] == "created"
    assert changed["Namespace"] == "configured"
    assert results(api.post(url)) == {"unchanged"}


def test_h03_a_foreign_namespace_is_not_adopted(
    api: Api, admin: ClusterClient, friend_id: str
) -> None:
    admin.create_namespace(f"friend-{friend_id}")
    answer = api.post("/api/friends", create_friend_body(id=friend_id))
    assert (answer.status, answer.json["code"]) == (409, "namespace_not_ours")
    assert api.get(f"/api/friends/{friend_id}").status == 404


def test_h05_a_terminating_namespace_is_waited_for(
    api: Api, admin: ClusterClient, friend_id: str
) -> None:
    api.register_friend(friend_id)
    admin.delete(f"/api/v1/namespaces/friend-{friend_id}")
    answer = api.post(f"/api/friends/{friend_id}/namespace/provision")
    assert (answer.status, answer.json["code"]) == (409, "namespace_terminating")


def test_what_runs_is_shown_with_its_logs(api: Api, admin: ClusterClient, friend_id: str) -> None:
    api.register_friend(friend_id)
    admin.apply(in_namespace(create_deployment("web"), friend_id))
    url = f"/api/friends/{friend_id}/namespace"
    wait_until(lambda: any(pod["ready"] for pod in api.get(f"{url}/pods").json), seconds=60)
    # Controllers count the ready pods and the quota's use, each a moment after the pod is ready.
    wait_until(lambda: replicas_and_pods(api.get(f"{url}/status")) == ("1/1", "1"), seconds=60)
    pod = api.get(f"{url}/status").json["pods"][0]["name"]
    log = api.get(f"{url}/logs/{pod}?tail=3")
    assert log.status == 200, log.text
    assert len(log.json["logs"].splitlines()) == 3
    assert api.delete(f"{url}/deployments/web").json["ok"]
    assert api.delete(f"{url}/deployments/web").status == 404


def test_a_fourth_pod_is_refused_and_status_says_so(
    api: Api, admin: ClusterClient, friend_id: str
) -> None:
    api.register_friend(friend_id)
    admin.apply(in_namespace(create_deployment("web", replicas=4), friend_id))
    url = f"/api/friends/{friend_id}/namespace/status"
    wait_until(lambda: api.get(url).json["events"], seconds=60)
    event = api.get(url).json["events"][0]
    assert "exceeded quota: friend-quota" in event["message"]
    assert api.get(url).json["deployments"][0]["replicas"].endswith("/4")


def test_a_privileged_pod_is_refused_and_status_says_so(
    api: Api, admin: ClusterClient, friend_id: str
) -> None:
    api.register_friend(friend_id)
    pod = in_namespace(create_pod("bad"), friend_id)
    pod["spec"]["containers"][0]["securityContext"] = {"privileged": True}
    status, answer = admin.call("POST", f"/api/v1/namespaces/friend-{friend_id}/pods", pod)
    assert status == 403
    assert "violates PodSecurity" in answer["message"]
    deployment = in_namespace(create_deployment("web"), friend_id)
    spec = deployment["spec"]["template"]["spec"]
    spec["containers"][0]["securityContext"] = {"privileged": True}
    admin.apply(deployment)
    url = f"/api/friends/{friend_id}/namespace/status"
    wait_until(lambda: api.get(url).json["events"], seconds=60)
    assert "violates PodSecurity" in api.get(url).json["events"][0]["message"]


def test_f01_secrets_are_listed_without_values(
    api: Api, admin: ClusterClient, friend_id: str
) -> None:
    api.register_friend(friend_id)
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "db"},
        "stringData": {"password": "canary-value"},
    }
    admin.apply(in_namespace(secret, friend_id))
    answer = api.get(f"/api/friends/{friend_id}/secrets")
    (listed,) = [each for each in answer.json if each["name"] == "db"]
    assert (listed["type"], listed["keys"]) == ("Opaque", ["password"])
    assert "canary" not in answer.text


def test_isolation_is_stored_as_designed(api: Api, admin: ClusterClient, friend_id: str) -> None:
    api.register_friend(friend_id)
    namespace = f"friend-{friend_id}"
    labels = admin.get(f"/api/v1/namespaces/{namespace}")["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"
    path = f"/apis/networking.k8s.io/v1/namespaces/{namespace}/networkpolicies/friend-netpol"
    spec = admin.get(path)["spec"]
    assert spec["policyTypes"] == ["Ingress", "Egress"]
    blocks = [each["ipBlock"] for each in spec["egress"][2]["to"]]
    assert "169.254.0.0/16" in blocks[0]["except"]
    account = admin.get(f"/api/v1/namespaces/{namespace}/serviceaccounts/default")
    assert account["automountServiceAccountToken"] is False
