"""`results`: what clients read of each object, in a 200, a 202 and a refusal alike."""

from typing import Any

import pytest

from infra.local.cluster import ClusterDouble
from tests.harness import Api
from tests.manifests import create_config_map_manifest, create_deployment_manifest

APPLY = "/api/friends/alice/namespace/apply"
ASYNC = {"Prefer": "respond-async"}
GOOD = create_config_map_manifest("settings")
BAD = create_deployment_manifest("web", replicas=200)
NOT_AT_FAULT = "Nothing is wrong with this object."
REPLICAS = "replicas must be a whole number from 0 to 100."

# A body, and each object's kind, name and the beginning of its error.
REFUSED: dict[str, tuple[Any, list[tuple[Any, Any, str]]]] = {
    "one manifest": (BAD, [("Deployment", "web", REPLICAS)]),
    "an array": (
        [GOOD, BAD],
        [("ConfigMap", "settings", NOT_AT_FAULT), ("Deployment", "web", REPLICAS)],
    ),
    "manifests": (
        {"manifests": [BAD, GOOD]},
        [("Deployment", "web", REPLICAS), ("ConfigMap", "settings", NOT_AT_FAULT)],
    ),
    "a kind that cannot be applied": (
        [{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}}],
        [("Pod", "p", "kind must be one of")],
    ),
    "what is no object": ([1, GOOD], [(None, None, "A"), ("ConfigMap", "settings", NOT_AT_FAULT)]),
    "a kind and a name that are no text": (
        {"kind": ["Deployment"], "metadata": {"name": 5}},
        [(None, None, "kind must be one of")],
    ),
    "no name": ({**GOOD, "metadata": {}}, [("ConfigMap", None, "name is required.")]),
    "two of one name": (
        [GOOD, GOOD],
        [("ConfigMap", "settings", NOT_AT_FAULT), ("ConfigMap", "settings", "Another ConfigMap")],
    ),
    "a name that is long": (
        {**GOOD, "metadata": {"name": "N" * 10_000}},
        [("ConfigMap", "N" * 64, "")],
    ),
    "more than ten": (
        [create_config_map_manifest(f"c{number}") for number in range(10)] + [BAD],
        [("ConfigMap", f"c{number}", NOT_AT_FAULT) for number in range(10)]
        + [("Deployment", "web", REPLICAS)],
    ),
}


@pytest.fixture
def api(backend: None) -> Api:
    """The app, with alice in it."""
    api = Api()
    api.register_friend()
    return api


@pytest.mark.case("CLIENTS")
@pytest.mark.parametrize("name", REFUSED)
def test_a_refusal_names_each_object_with_its_first_error(api: Api, name: str) -> None:
    body, expected = REFUSED[name]
    answer = api.post(APPLY, body)
    assert (answer.status, answer.json["code"]) == (422, "manifest_refused")
    results = answer.json["results"]
    assert [(each["kind"], each["name"]) for each in results] == [each[:2] for each in expected]
    for result, (_, _, error) in zip(results, expected, strict=True):
        assert result["error"].startswith(error), result
        assert result.keys() == {"kind", "name", "error"}


@pytest.mark.case("CLIENTS")
@pytest.mark.parametrize("options", [ASYNC, {}], ids=["asked for", "behind another"])
def test_a_202_has_results_that_are_empty(api: Api, options: dict[str, str]) -> None:
    api.post(APPLY, GOOD, headers=ASYNC)
    answer = api.post(APPLY, GOOD, headers=options)
    assert (answer.status, answer.json["results"]) == (202, [])


@pytest.mark.case("CLIENTS")
def test_what_the_cluster_refuses_has_its_error_in_results(api: Api, kube: ClusterDouble) -> None:
    kube.fail_next(status=422, body={"details": {}}, match="PATCH .*/deployments/")
    answer = api.post(APPLY, [create_deployment_manifest("web"), GOOD])
    assert (answer.status, answer.json["code"]) == (422, "objects_refused")
    refused, applied = answer.json["results"]
    assert (refused["kind"], refused["name"]) == ("Deployment", "web")
    assert refused["error"] == "The cluster refuses this object."
    assert "error" not in applied


def test_a_repeat_with_a_key_gets_the_same_results(api: Api) -> None:
    headers = {"Idempotency-Key": "k"}
    first, again = (api.post(APPLY, [GOOD, BAD], headers=headers) for _ in range(2))
    assert again.json["results"] == first.json["results"]


def test_more_manifests_than_may_be_sent_are_told_as_one_fault(api: Api) -> None:
    answer = api.post(APPLY, [GOOD] * 101)
    assert (answer.status, answer.json["results"]) == (422, [])
