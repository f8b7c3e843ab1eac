"""Applies on a real API server, with no more rights than the product ships with."""

import copy
import time
from typing import Any

import pytest

from tests.cluster_client import ClusterClient, wait_until
from tests.harness import Api, Clock
from tests.manifests import (
    create_config_map_manifest,
    create_cron_job_manifest,
    create_deployment_manifest,
    create_job_manifest,
    create_service_manifest,
    spell_out_defaults,
)
from tests.unit.domain.admission.good_manifests import GOOD


class HurriedClock(Clock):
    """A clock on which little real time passes while somebody sleeps."""

    def sleep(self, seconds: float) -> None:
        """Let the controllers work for a moment."""
        time.sleep(0.2)
        super().sleep(seconds)


@pytest.fixture
def clock() -> Clock:
    """The time."""
    return HurriedClock()


@pytest.fixture
def api(api: Api, clock: Clock) -> Api:
    """The app, on that clock."""
    del api
    return Api(now=clock.now)


def follow(api: Api, clock: Clock, answer: Any) -> Any:
    """Poll the accepted operation until it is over: each read checks its rollouts."""
    assert answer.status == 202, answer.text
    url = answer.json["operation"]["url"]
    operation = api.get(url).json
    while operation["status"] in {"pending", "running"}:
        clock.sleep(2)
        operation = api.get(url).json
    return operation


@pytest.fixture
def url(api: Api, friend_id: str) -> str:
    """Where a registered friend's manifests are applied."""
    api.register_friend(friend_id)
    return f"/api/friends/{friend_id}/namespace/apply"


def of_each_kind() -> list[Any]:
    return [
        create_deployment_manifest(),
        create_job_manifest(),
        create_cron_job_manifest(),
        create_service_manifest(),
        create_config_map_manifest(),
    ]


def changes(answer: Any) -> list[str]:
    assert answer.status == 200, answer.text
    return [each["change"] for each in answer.json["results"]]


def test_each_kind_is_created_then_left_unchanged(api: Api, url: str) -> None:
    assert changes(api.post(f"{url}?dry_run=true", of_each_kind())) == ["created"] * 5
    assert changes(api.post(url, of_each_kind())) == ["created"] * 5
    assert changes(api.post(url, of_each_kind())) == ["unchanged"] * 5
    changed = create_config_map_manifest(data={"colour": "red"})
    assert changes(api.post(f"{url}?dry_run=true", changed)) == ["configured"]
    assert changes(api.post(url, changed)) == ["configured"]


SPELLED_OUT = spell_out_defaults()


@pytest.mark.case("K10")
@pytest.mark.parametrize("kind", SPELLED_OUT)
def test_an_object_with_its_defaults_spelled_out_is_unchanged(
    api: Api, url: str, kind: str
) -> None:
    clock = Clock()
    api = Api(now=clock.now)
    told = []
    for each in (*SPELLED_OUT[kind], SPELLED_OUT[kind][0]):
        clock.pass_seconds(7)
        told += changes(api.post(url, each))
    assert told == ["created", "unchanged", "unchanged"]


@pytest.mark.parametrize("name", GOOD)
def test_what_admission_takes_the_server_takes_too(api: Api, url: str, name: str) -> None:
    """Admission knows every field, and refuses none that it should take."""
    manifest = copy.deepcopy(GOOD[name])
    manifest["metadata"].pop("namespace", None)
    assert changes(api.post(f"{url}?dry_run=true", manifest)) == ["created"]


def test_what_cannot_change_is_422_and_says_which_field(api: Api, url: str) -> None:
    api.post(url, of_each_kind())
    selected = create_deployment_manifest()
    selected["spec"]["selector"]["matchLabels"] = {"app": "other"}
    selected["spec"]["template"]["metadata"]["labels"] = {"app": "other"}
    image = {"containers": [{**create_job_manifest()["spec"]["template"]["spec"]["containers"][0]}]}
    image["containers"][0]["image"] = "registry.example/other:2"
    answer = api.post(url, [selected, create_job_manifest(pod=image)])
    assert answer.status == 422
    deployment, job = answer.json["results"]
    assert "spec.selector" in deployment["error"]
    assert "spec.template" in job["error"]


def test_another_managers_field_is_not_taken(
    api: Api, admin: ClusterClient, url: str, friend_id: str
) -> None:
    theirs = create_config_map_manifest(data={"colour": "theirs"})
    theirs["metadata"]["namespace"] = f"friend-{friend_id}"
    admin.apply(theirs)
    answer = api.post(url, create_config_map_manifest())
    assert (answer.status, answer.json["results"][0]["code"]) == (422, "field_conflict")
    assert ".data.colour" in answer.json["results"][0]["error"]


def test_a_field_of_ours_that_kubectl_holds_is_taken_over_by_force(
    api: Api, admin: ClusterClient, url: str, friend_id: str
) -> None:
    deployment = create_deployment_manifest(replicas=1)
    assert changes(api.post(url, deployment)) == ["created"]
    path = f"/apis/apps/v1/namespaces/friend-{friend_id}/deployments/web/scale"
    admin.merge(f"{path}?fieldManager=kubectl", {"spec": {"replicas": 2}})
    answer = api.post(url, deployment)
    assert (answer.status, answer.json["results"][0]["code"]) == (422, "field_conflict")
    assert "kubectl" in answer.json["results"][0]["error"]
    assert "?force=true" in answer.json["results"][0]["error"]
    assert changes(api.post(f"{url}?force=true", deployment)) == ["configured"]
    assert changes(api.post(url, deployment)) == ["unchanged"]


def test_a_deployment_is_deleted_by_its_uid_while_its_status_changes(
    api: Api, admin: ClusterClient, url: str, friend_id: str
) -> None:
    assert changes(api.post(url, create_deployment_manifest())) == ["created"]
    path = url.replace("apply", "deployments/web")
    assert api.delete(f"{path}?dry_run=true").status == 200
    answer = api.delete(path)
    assert answer.status == 200, answer.text
    assert answer.json["operation"]["results"][0]["status"] == "deleted"
    assert admin.find(f"/apis/apps/v1/namespaces/friend-{friend_id}/deployments/web") is None
    assert api.delete(path).status == 404


def test_more_than_the_quota_admits_is_422(api: Api, url: str) -> None:
    manifests = [create_service_manifest(f"s{number}") for number in range(10)]
    assert set(changes(api.post(url, manifests))) == {"created"}
    answer = api.post(url, create_service_manifest("one-more"))
    assert (answer.status, answer.json["results"][0]["code"]) == (422, "quota_exceeded")


def test_a_rollout_and_a_job_are_followed_to_their_end(
    api: Api, clock: Clock, url: str, invocations: list[Any]
) -> None:
    manifests = [create_deployment_manifest(), create_job_manifest()]
    answer = api.post(f"{url}?wait=ready", manifests)
    api.deliver(invocations)
    operation = follow(api, clock, answer)
    assert operation["status"] == "succeeded", operation


def test_a_rollout_beyond_the_quota_says_so(
    api: Api, clock: Clock, url: str, invocations: list[Any]
) -> None:
    api.post(url, create_deployment_manifest("first", replicas=2))
    wait_until(lambda: is_running(api, url, 2), seconds=60)
    answer = api.post(f"{url}?wait=ready", create_deployment_manifest("second", replicas=2))
    api.deliver(invocations)
    operation = follow(api, clock, answer)
    assert (operation["status"], operation["code"]) == ("failed", "quota_exceeded"), operation


def is_running(api: Api, url: str, count: int) -> bool:
    pods = api.get(url.replace("apply", "pods")).json
    return len([pod for pod in pods if pod["ready"]]) == count


def test_a17_what_admission_hardens_runs_under_the_restricted_standard(
    api: Api, clock: Clock, url: str, invocations: list[Any]
) -> None:
    bare = create_deployment_manifest(pod={"securityContext": None})
    del bare["spec"]["template"]["spec"]["containers"][0]["securityContext"]
    assert api.post(url, bare).status == 422
    answer = api.post(f"{url}?harden=true&wait=ready", bare)
    api.deliver(invocations)
    assert follow(api, clock, answer)["status"] == "succeeded"


def test_a15_an_unknown_field_never_reaches_the_server(api: Api, url: str) -> None:
    typo = create_deployment_manifest(replica=1)
    answer = api.post(url, typo)
    assert (answer.status, answer.json["details"][0]["path"]) == (422, "/spec/replica")
