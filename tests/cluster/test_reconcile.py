"""Reconcile and deletion on a real API server, as the service account that ships."""

from typing import Any

import boto3
import pytest

from tests.cluster_client import ClusterClient, wait_until
from tests.harness import TABLE, Api

POLICIES = "/apis/networking.k8s.io/v1/namespaces"


@pytest.fixture(autouse=True)
def _only_tests_live_here(admin: ClusterClient) -> None:
    """A whole run reports namespaces of unrecorded friends: keep real clusters out of it."""
    ours = "/api/v1/namespaces?labelSelector=app.kubernetes.io/managed-by=friends-api"
    names = [each["metadata"]["name"] for each in admin.get(ours)["items"]]
    real = [each for each in names if each.startswith("friend-") and "friend-t-" not in each]
    assert not real, f"this cluster has friends, so no pass is tried on it: {real[:3]}"


def drift(admin: ClusterClient, friend_id: str) -> None:
    inside = f"/api/v1/namespaces/friend-{friend_id}"
    admin.merge(f"{inside}/resourcequotas/friend-quota", {"spec": {"hard": {"pods": "99"}}})
    admin.merge(f"{inside}/serviceaccounts/default", {"automountServiceAccountToken": True})
    admin.delete(f"{inside}/limitranges/friend-limits")
    admin.merge(
        f"{POLICIES}/friend-{friend_id}/networkpolicies/friend-netpol", {"spec": {"egress": [{}]}}
    )


def of(report: Any, friend_id: str) -> list[str]:
    """Return what was found of this friend: other tests' namespaces may be strays here."""
    found = [*report["repaired"], *report["failed"], *report["refused"]]
    return sorted(each["what"] for each in found if each["friend_id"] == friend_id)


def test_a_pass_repairs_what_differs_and_then_finds_nothing(
    api: Api, admin: ClusterClient, friend_id: str
) -> None:
    api.register_friend(friend_id)
    assert of(api.reconcile(), friend_id) == []
    drift(admin, friend_id)
    assert of(api.reconcile(), friend_id) == [
        "LimitRange friend-limits created",
        "NetworkPolicy friend-netpol configured",
        "ResourceQuota friend-quota configured",
        "ServiceAccount default configured",
    ]
    assert of(api.reconcile(), friend_id) == []


def test_a_deleted_namespace_comes_back_once_it_is_gone(
    api: Api, admin: ClusterClient, friend_id: str
) -> None:
    path = f"/api/v1/namespaces/friend-{friend_id}"
    api.register_friend(friend_id)
    admin.call("DELETE", path)
    wait_until(lambda: admin.find(path) is None, seconds=60)
    assert f"Namespace friend-{friend_id} created" in of(api.reconcile(), friend_id)
    assert of(api.reconcile(), friend_id) == []


def test_a_deleted_friend_leaves_nothing_in_the_cluster(
    api: Api, admin: ClusterClient, friend_id: str, invocations: list[Any]
) -> None:
    api.register_friend(friend_id)
    answer = api.delete(f"/api/friends/{friend_id}?confirm={friend_id}")
    assert answer.status == 202, answer.text
    (report,) = api.deliver(invocations)
    assert report["operation"]["status"] == "running", report
    # No function waits for the namespace to go: the next run goes on.
    path = f"/api/v1/namespaces/friend-{friend_id}"
    wait_until(lambda: admin.find(path) is None, seconds=60)
    identifier = report["operation"]["id"]
    assert of(api.reconcile(), friend_id) == [f"operation {identifier} started again"]
    (report,) = api.deliver(invocations)
    assert report["operation"]["status"] == "succeeded", report
    assert api.get(f"/api/friends/{friend_id}").status == 404


@pytest.mark.case("H2")
def test_a_namespace_whose_friend_is_not_recorded_stays(
    api: Api, admin: ClusterClient, friend_id: str
) -> None:
    path = f"/api/v1/namespaces/friend-{friend_id}"
    api.register_friend(friend_id)
    table = boto3.resource("dynamodb").Table(TABLE)
    for item in table.scan()["Items"]:
        table.delete_item(Key={"pk": item["pk"], "sk": item["sk"]})
    before = admin.get(path)
    report = api.reconcile()
    assert report["repaired"] == []
    assert f"friend-{friend_id}" in str(report["refused"])
    after = admin.get(path)
    assert after["metadata"]["uid"] == before["metadata"]["uid"]
    assert "deletionTimestamp" not in after["metadata"]


@pytest.mark.case("H2")
def test_a_namespace_that_a_late_request_made_after_the_deletion_goes(
    api: Api, admin: ClusterClient, friend_id: str, invocations: list[Any]
) -> None:
    path = f"/api/v1/namespaces/friend-{friend_id}"
    api.register_friend(friend_id)
    labels = admin.get(path)["metadata"]["labels"]
    api.delete(f"/api/friends/{friend_id}?confirm={friend_id}")
    (event,) = invocations
    api.deliver(invocations)
    wait_until(lambda: admin.find(path) is None, seconds=60)
    api.run_operation(event)
    metadata = {"name": f"friend-{friend_id}", "labels": labels}
    manifest = {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}
    assert admin.call("POST", "/api/v1/namespaces", manifest)[0] == 201
    assert of(api.reconcile(), friend_id) == [f"Namespace friend-{friend_id} deleted"]
    wait_until(lambda: admin.find(path) is None, seconds=60)
    assert of(api.reconcile(), friend_id) == []


def test_h05_an_id_is_not_free_while_its_namespace_is_terminating(
    api: Api, admin: ClusterClient, friend_id: str
) -> None:
    name = f"friend-{friend_id}"
    manifest = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
    assert admin.call("POST", "/api/v1/namespaces", manifest)[0] == 201
    admin.call("DELETE", f"/api/v1/namespaces/{name}")
    answer = api.post("/api/friends", {"id": friend_id, "display_name": "B"})
    assert (answer.status, answer.json["code"]) == (409, "namespace_terminating")
    assert int(answer.headers["Retry-After"]) > 0
