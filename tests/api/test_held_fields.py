"""K14: a field that another manager (kubectl, say) holds: what the answer says to do works."""

from typing import Any

import pytest

from chalicelib.domain.operations import DELETABLE
from chalicelib.routes.table import ROUTES
from tests.cluster_client import ClusterClient
from tests.harness import Api
from tests.manifests import (
    create_config_map_manifest,
    create_container,
    create_cron_job_manifest,
    create_deployment_manifest,
    create_service_manifest,
)

NAMESPACE = "friend-alice"
APPLY = "/api/friends/alice/namespace/apply"
FORCE = f"{APPLY}?force=true"
MERGE = "application/merge-patch+json"
GROUPS = {"Deployment": "apis/apps/v1", "CronJob": "apis/batch/v1"}


def image(tag: str) -> dict[str, Any]:
    return {"containers": [create_container(image=f"registry.example/web:{tag}")]}


def schedule(text: str) -> dict[str, Any]:
    return {"spec": {"schedule": text}}


# What is applied, and what somebody else then writes into it. All but the second are required.
HELD: dict[str, tuple[Any, Any]] = {
    "a Job's schedule that kubectl patch set": (
        create_cron_job_manifest("web", schedule="0 3 * * *"),
        schedule("0 4 * * *"),
    ),
    "replicas that kubectl scale set": (
        create_deployment_manifest("web", replicas=1),
        {"spec": {"replicas": 2}},
    ),
    "a selector that kubectl edit set": (
        create_service_manifest("web"),
        {"spec": {"selector": {"app": "other"}}},
    ),
    "a value that kubectl edit set": (
        create_config_map_manifest("web", data={"colour": "blue", "size": "1"}),
        {"data": {"colour": "red"}},
    ),
    "an image that kubectl set image set": (
        create_deployment_manifest("web", pod=image("1")),
        {"spec": {"template": {"spec": image("2")}}},
    ),
}


@pytest.fixture
def api(backend: None) -> Api:
    """The app, with alice in it."""
    api = Api()
    api.register_friend()
    return api


@pytest.fixture
def cluster(kube: Any) -> ClusterClient:
    """The cluster, as its admin sees it."""
    return ClusterClient(kube.kubeconfig())


def path_of(manifest: Any) -> str:
    kind = manifest["kind"]
    return f"/{GROUPS.get(kind, 'api/v1')}/namespaces/{NAMESPACE}/{kind.lower()}s/web"


def in_cluster(manifest: Any) -> Any:
    group = GROUPS.get(manifest["kind"], "api/v1").partition("/")[2]
    metadata = {**manifest["metadata"], "namespace": NAMESPACE}
    return {"apiVersion": group, **manifest, "metadata": metadata}


def hold(cluster: ClusterClient, manifest: Any, patch: Any) -> None:
    """Write as kubectl does."""
    url = f"{path_of(manifest)}?fieldManager=kubectl-edit"
    status, answer = cluster.call("PATCH", url, patch, MERGE)
    assert status == 200, answer


def contains(found: Any, wanted: Any) -> bool:
    if isinstance(wanted, dict):
        return all(contains(found.get(key), value) for key, value in wanted.items())
    if isinstance(wanted, list):
        return all(map(contains, found, wanted))
    return bool(found == wanted)


@pytest.mark.case("K14")
@pytest.mark.parametrize("name", HELD)
def test_a_held_field_of_what_the_api_applied_is_taken_over_by_force(
    api: Api, cluster: ClusterClient, name: str
) -> None:
    manifest, patch = HELD[name]
    assert api.post(APPLY, manifest).status == 200
    hold(cluster, manifest, patch)
    refused = api.post(APPLY, manifest)
    assert refused.status == 422, refused.text
    (result,) = refused.json["results"]
    assert (result["status"], result["code"]) == ("failed", "field_conflict")
    assert "kubectl-edit" in result["error"]
    assert "?force=true" in result["error"]
    assert contains(cluster.get(path_of(manifest)), patch)
    rehearsed = api.post(f"{FORCE}&dry_run=true", manifest)
    assert rehearsed.status == 200, rehearsed.text
    assert contains(cluster.get(path_of(manifest)), patch)
    forced = api.post(FORCE, manifest)
    assert forced.status == 200, forced.text
    assert forced.json["results"][0]["change"] == "configured"
    assert contains(
        cluster.get(path_of(manifest))["spec" if "spec" in patch else "data"],
        manifest["spec" if "spec" in patch else "data"],
    )
    assert api.post(APPLY, manifest).json["results"][0]["change"] == "unchanged"


@pytest.mark.case("K14")
@pytest.mark.parametrize("name", HELD)
def test_a13_nothing_is_taken_of_what_the_api_never_applied(
    api: Api, cluster: ClusterClient, name: str
) -> None:
    manifest, patch = HELD[name]
    cluster.apply(in_cluster(manifest))
    hold(cluster, manifest, patch)
    for url in (APPLY, FORCE, f"{FORCE}&dry_run=true"):
        answer = api.post(url, manifest)
        assert answer.status == 422, answer.text
        (result,) = answer.json["results"]
        assert (result["status"], result["code"]) == ("failed", "field_conflict")
        assert "apply it again" in result["error"]
        assert "force" not in result["error"]
    assert contains(cluster.get(path_of(manifest)), patch)


@pytest.mark.case("K14")
def test_deleting_and_applying_again_works_as_the_answer_says(
    api: Api, cluster: ClusterClient
) -> None:
    manifest, _ = HELD["replicas that kubectl scale set"]
    cluster.apply(in_cluster({**manifest, "spec": {**manifest["spec"], "replicas": 2}}))
    (result,) = api.post(FORCE, manifest).json["results"]
    call = "/api/friends/<id>/namespace/deployments/web"
    assert f"DELETE {call}" in result["error"]
    assert api.delete(call.replace("<id>", "alice")).status == 200
    assert api.post(APPLY, manifest).status == 200


@pytest.mark.case("K14")
def test_force_holds_in_the_background_too(
    api: Api, cluster: ClusterClient, invocations: list[Any]
) -> None:
    manifest, patch = HELD["a value that kubectl edit set"]
    api.post(APPLY, manifest)
    hold(cluster, manifest, patch)
    answer = api.post(FORCE, manifest, headers={"Prefer": "respond-async"})
    api.deliver(invocations)
    assert api.get(answer.json["operation"]["url"]).json["status"] == "succeeded"
    assert cluster.get(path_of(manifest))["data"] == {"colour": "blue", "size": "1"}


@pytest.mark.case("K14")
def test_a13_what_others_have_taken_as_a_whole_is_theirs(api: Api, cluster: ClusterClient) -> None:
    """The cluster itself does not know any more that the API ever applied it."""
    manifest = create_config_map_manifest("web", data={"colour": "blue"})
    api.post(APPLY, manifest)
    hold(cluster, manifest, {"data": {"colour": "red"}})
    (result,) = api.post(FORCE, manifest).json["results"]
    assert (result["status"], result["code"]) == ("failed", "field_conflict")
    assert "apply it again" in result["error"]


def test_force_touches_only_what_the_api_applied_among_several_objects(
    api: Api, cluster: ClusterClient
) -> None:
    data = {"colour": "blue", "size": "1"}
    mine, theirs = (create_config_map_manifest(name, data=data) for name in ("mine", "theirs"))
    api.post(APPLY, mine)
    for name in ("mine", "theirs"):
        manifest = create_config_map_manifest(name, data={"colour": "red"})
        url = f"/api/v1/namespaces/{NAMESPACE}/configmaps/{name}?fieldManager=kubectl&force=true"
        content_type = "application/apply-patch+yaml"
        assert cluster.call("PATCH", url, in_cluster(manifest), content_type)[0] < 300
    answer = api.post(FORCE, [mine, theirs])
    assert answer.status == 422
    assert [each["status"] for each in answer.json["results"]] == ["applied", "failed"]
    theirs_now = cluster.get(f"/api/v1/namespaces/{NAMESPACE}/configmaps/theirs")
    assert theirs_now["data"] == {"colour": "red"}


def test_each_kind_that_an_answer_says_to_delete_has_that_call() -> None:
    paths = {route.path.partition("/namespace/")[2] for route in ROUTES if route.method == "DELETE"}
    routed = {path.removesuffix("/{name}") for path in paths} - {"", "expose"}
    assert routed == {kind.plural for kind in DELETABLE}
