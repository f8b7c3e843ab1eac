"""Planning, as data: what becomes of each object, and which namespaces we refuse."""

import copy
from typing import Any

import pytest

from chalicelib.domain.errors import Conflict
from chalicelib.domain.kinds import ref_of
from chalicelib.domain.namespace import DIGEST_ANNOTATION, build_namespace_objects
from chalicelib.domain.ownership import require_ours
from chalicelib.domain.plan import Result, contains, plan
from tests.factories import create_friend, create_layout

FRIEND = create_friend()
DESIRED = build_namespace_objects(FRIEND, create_layout())


def observe(*manifests: Any) -> dict[Any, Any]:
    return {ref_of(manifest): copy.deepcopy(manifest) for manifest in manifests}


def test_everything_absent_is_created_the_namespace_first() -> None:
    changes = plan(DESIRED, {})
    assert {change.result for change in changes} == {Result.CREATED}
    assert [change.ref.kind.name for change in changes] == [
        "Namespace",
        "RoleBinding",
        "ResourceQuota",
        "LimitRange",
        "NetworkPolicy",
        "ServiceAccount",
    ]


def test_what_is_as_desired_stays_untouched_whatever_else_it_says() -> None:
    observed = observe(*DESIRED)
    for manifest in observed.values():
        manifest["metadata"]["labels"]["somebody/else"] = "was here"
        manifest["status"] = {"phase": "Active"}
    assert {change.result for change in plan(DESIRED, observed)} == {Result.UNCHANGED}


@pytest.mark.parametrize("kind", ["Namespace", "ResourceQuota", "NetworkPolicy", "ServiceAccount"])
def test_drift_is_seen_in_one_object_alone(kind: str) -> None:
    observed = observe(*DESIRED)
    drifted = next(each for each in observed.values() if each["kind"] == kind)
    drifted["metadata"]["annotations"][DIGEST_ANNOTATION] = "another"
    changed = [each for each in plan(DESIRED, observed) if each.result is not Result.UNCHANGED]
    assert [(each.ref.kind.name, each.result) for each in changed] == [(kind, "configured")]


def test_an_edit_that_leaves_the_digest_alone_is_drift_too() -> None:
    observed = observe(*DESIRED)
    quota = next(each for each in observed.values() if each["kind"] == "ResourceQuota")
    quota["spec"]["hard"]["pods"] = "300"
    assert [each.result for each in plan(DESIRED, observed)].count(Result.CONFIGURED) == 1


@pytest.mark.parametrize(
    ("observed", "desired", "answer"),
    [
        ({"a": 1, "b": 2}, {"a": 1}, True),
        ({"a": 1}, {"a": 2}, False),
        ({"a": {"b": [1]}}, {"a": {"b": [1]}}, True),
        ({"a": [1, 2]}, {"a": [1]}, False),
        ({"a": None}, {"a": {}}, False),
        ({"a": True}, {"a": 1}, False),
        ({}, {"a": None}, False),
        ([{"x": 1, "y": 2}], [{"x": 1}], True),
    ],
)
def test_containing_is_deep_for_mappings_and_exact_for_lists(
    observed: Any, desired: Any, answer: bool
) -> None:
    assert contains(observed, desired) is answer


def test_h03_a_namespace_without_our_uid_is_not_adopted() -> None:
    for labels in ({}, {"friends-api/uid": "another"}, None):
        with pytest.raises(Conflict) as refusal:
            require_ours({"metadata": {"name": "friend-alice", "labels": labels}}, FRIEND)
        assert refusal.value.code == "namespace_not_ours"
        # Whoever reads this must not remove what is the friend's and has merely lost its label.
        assert "label friends-api/uid" in refusal.value.message
        assert "put the label back" in refusal.value.message


def test_h05_a_terminating_namespace_is_left_alone_for_now() -> None:
    namespace = copy.deepcopy(DESIRED[0])
    namespace["metadata"]["deletionTimestamp"] = "2026-11-24T09:00:00Z"
    with pytest.raises(Conflict) as refusal:
        require_ours(namespace, FRIEND)
    assert refusal.value.code == "namespace_terminating"
    assert refusal.value.retry_after_seconds


def test_our_own_namespace_and_an_absent_one_are_fine() -> None:
    require_ours(DESIRED[0], FRIEND)
    require_ours(None, FRIEND)
