"""Whole requests: what passes comes back as it was sent, and what does not is told at once."""

from collections.abc import Iterator
from copy import deepcopy
from typing import Any

import pytest

from chalicelib.domain.admission import MOST_FAULTS, MOST_MANIFESTS, admit
from chalicelib.domain.admission.scalars import ANYTHING
from chalicelib.domain.admission.schema import Struct
from chalicelib.domain.admission.shapes import SHAPES
from chalicelib.domain.errors import Refused
from chalicelib.domain.tiers import TIERS
from infra.local import kube_apply, kube_objects, kube_validation
from infra.local.kube_defaults import with_defaults
from infra.local.kube_pod_security import describe_violations
from tests.manifests import (
    create_config_map_manifest,
    create_deployment_manifest,
    create_service_manifest,
)
from tests.unit.domain.admission.good_manifests import GOOD
from tests.unit.domain.admission.permitted import permitted_manifests
from tests.unit.domain.admission.requests import (
    NAMESPACE,
    RESERVED,
    TIER,
    Manifest,
    admitted,
    faults_of,
    refusal_of,
)

KINDS = {kind.name: kind for kind in kube_objects.KINDS}
SHAPES_BY_NAME = {kind.name: shape for kind, shape in SHAPES.items()}


def pod_spec_of(manifest: Manifest) -> Manifest | None:
    """Return the pod spec in a workload."""
    spec = manifest.get("spec", {})
    spec = spec.get("jobTemplate", {}).get("spec", spec)
    pod: Manifest | None = spec.get("template", {}).get("spec")
    return pod


def assert_a_cluster_takes(manifest: Manifest) -> None:
    """Assert that neither apply, nor validation, nor Pod Security objects."""
    kind = KINDS[manifest["kind"]]
    kube_apply.check_typed(manifest, kind)
    stored = deepcopy(manifest)
    stored["metadata"]["uid"] = "0b8e9d4c-0000-4000-8000-000000000000"
    kube_validation.check_valid(kind, with_defaults(kind, stored))
    pod = pod_spec_of(manifest)
    assert pod is None or describe_violations("restricted", pod) == ""


@pytest.mark.parametrize("harden", [False, True])
@pytest.mark.parametrize("name", GOOD)
def test_good_manifests_are_sent_as_they_are(name: str, harden: bool) -> None:
    before = deepcopy(GOOD[name])
    (sent,) = admitted(GOOD[name], harden=harden)
    assert GOOD[name] == before
    expected = deepcopy(before)
    expected["metadata"]["namespace"] = NAMESPACE
    pod = pod_spec_of(expected)
    if pod is not None:
        pod["automountServiceAccountToken"] = False
    assert sent == expected
    assert_a_cluster_takes(sent)


def test_there_are_good_manifests_of_every_style() -> None:
    assert len(GOOD) >= 40


def test_a15_every_permitted_field_is_in_some_good_manifest() -> None:
    used: set[tuple[str, str]] = set()
    for manifest in permitted_manifests():
        used |= set(fields_in(SHAPES_BY_NAME[manifest["kind"]], manifest))
    permitted = {each for shape in SHAPES.values() for each in permitted_fields(shape, set())}
    assert permitted - used == set()


def fields_in(shape: Any, value: Any) -> Iterator[tuple[str, str]]:
    """Yield each field of a value, with the name of its struct."""
    for each in value if isinstance(value, list) else [value]:
        inner = vars(shape).get("shape", shape)
        if isinstance(inner, Struct):
            for name, member in each.items():
                yield inner.name, name
                yield from fields_in(inner.members[name].shape, member)


def permitted_fields(shape: Any, seen: set[str]) -> Iterator[tuple[str, str]]:
    """Yield each field that may hold something."""
    inner = vars(shape).get("shape", shape)
    if isinstance(inner, Struct) and inner.name not in seen:
        seen.add(inner.name)
        for name, member in inner.members.items():
            if member.why_refused is None and member.shape is not ANYTHING:
                yield inner.name, name
                yield from permitted_fields(member.shape, seen)


def test_what_is_sent_shares_nothing_with_the_request() -> None:
    manifest = create_deployment_manifest()
    (sent,) = admitted(manifest)
    before = deepcopy(sent)
    manifest["spec"]["template"]["spec"]["containers"][0]["resources"]["limits"]["cpu"] = "1"
    manifest["spec"]["selector"]["matchLabels"]["app"] = "other"
    assert sent == before


def test_the_namespace_is_the_friends() -> None:
    (sent,) = admit(
        [("", create_config_map_manifest())], friend_id="bob", tier=TIER, reserved_labels=RESERVED
    )
    assert sent["metadata"]["namespace"] == "friend-bob"


def test_many_manifests_keep_their_order() -> None:
    body = [create_service_manifest(), create_config_map_manifest(), create_deployment_manifest()]
    assert [sent["kind"] for sent in admitted(body)] == ["Service", "ConfigMap", "Deployment"]


@pytest.mark.parametrize("number", [0, MOST_MANIFESTS + 1])
def test_a_request_has_one_to_a_hundred_manifests(number: int) -> None:
    (fault,) = faults_of([create_config_map_manifest(f"c-{n}") for n in range(number)])
    assert fault.path == ""
    assert str(MOST_MANIFESTS) in fault.message


def test_a_name_stands_for_one_object_of_a_kind() -> None:
    body = [create_config_map_manifest("a"), create_service_manifest("a")]
    assert admitted(body)
    (fault,) = faults_of([*body, create_config_map_manifest("a")])
    assert (fault.path, fault.fix) == ("/2/metadata/name", None)


@pytest.mark.parametrize("value", [None, 1, "x", True, []])
def test_a_manifest_is_an_object(value: Any) -> None:
    (fault,) = faults_of([value])
    assert (fault.path, fault.message) == ("/0", "A manifest must be an object.")


def test_a_refusal_says_how_many_faults_and_what_to_do() -> None:
    one = refusal_of({**create_config_map_manifest(), "status": {}})
    assert one is not None
    assert one.code == "manifest_refused"
    assert one.message.startswith("The request has 1 fault: apply the fixes in details")
    assert one.message.endswith("Nothing was applied.")
    two = refusal_of([{}, {}])
    assert two is not None
    assert two.message.startswith("The request has 2 faults:")


def test_the_pointers_start_where_the_manifest_is() -> None:
    manifest = {**create_config_map_manifest(), "status": {}}
    with pytest.raises(Refused) as refusal:
        admit([("/manifests/3", manifest)], friend_id="alice", tier=TIER, reserved_labels=RESERVED)
    (fault,) = refusal.value.faults
    assert fault.path == "/manifests/3/status"
    assert fault.fix == ({"op": "remove", "path": "/manifests/3/status"},)


def test_an_answer_stays_small() -> None:
    junk = dict.fromkeys(map(str, range(MOST_FAULTS + 1)), 0)
    refusal = refusal_of({**create_config_map_manifest(), **junk})
    assert refusal is not None
    assert len(refusal.faults) == MOST_FAULTS
    assert refusal.message.startswith(f"The request has {MOST_FAULTS + 1} faults, of which details")


def test_d01_a_body_full_of_faults_is_told_quickly() -> None:
    """Not a timed test: what is counted is how much is looked at before it is enough."""
    containers: list[Any] = [{} for _ in range(870)]
    manifests = [
        (f"/{number}", create_deployment_manifest(f"m{number}", pod={"containers": containers}))
        for number in range(90)
    ]
    with pytest.raises(Refused) as refusal:
        admit(manifests, friend_id="alice", tier=TIERS["default"], reserved_labels=())
    assert len(refusal.value.faults) == MOST_FAULTS
    assert "3000 faults" in refusal.value.message


FULL: dict[str, Manifest] = {
    "data": {**create_config_map_manifest("full"), "data": {f"!{n}": "" for n in range(4000)}},
    "annotations": {
        **create_deployment_manifest(pod={"hostNetwork": True}),
        "metadata": {"name": "full", "annotations": {f"a/b/{n}": "" for n in range(4000)}},
    },
    "fields": {
        "kind": "Service",
        "metadata": {"name": "full"},
        "spec": {f"-{n}": "" for n in range(4000)},
    },
}


@pytest.mark.parametrize("name", FULL)
@pytest.mark.parametrize("place", ["alone", "first", "last"])
def test_d01_a_manifest_full_of_faults_is_refused(name: str, place: str) -> None:
    others = [create_config_map_manifest("other"), {"kind": "Pod"}]
    bodies = {"alone": [FULL[name]], "first": [FULL[name], *others], "last": [*others, FULL[name]]}
    refusal = refusal_of(bodies[place])
    assert refusal is not None
    assert len(refusal.faults) == MOST_FAULTS
