"""What reconcile and run_operation take from whoever invokes them."""

from typing import Any

import pytest

from chalicelib.domain.errors import InvalidInput
from chalicelib.domain.reconciliation import Part
from chalicelib.routes.events import ReconcileEvent, parse_reconcile, parse_run_operation


def faults_of(event: Any) -> list[str]:
    with pytest.raises(InvalidInput) as refusal:
        parse_reconcile(event)
    return [fault.path for fault in refusal.value.faults]


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        ({}, ReconcileEvent()),
        ({"source": "aws.events", "detail-type": "Scheduled Event", "id": "1"}, ReconcileEvent()),
        ({"dry_run": True}, ReconcileEvent(dry_run=True)),
        ({"friend_id": "alice"}, ReconcileEvent(friend_id="alice")),
        (
            {"friends": {"alice": ["routes"]}},
            ReconcileEvent(friends={"alice": frozenset({Part.ROUTES})}),
        ),
    ],
)
def test_an_event_says_what_is_to_be_reconciled(event: Any, expected: ReconcileEvent) -> None:
    assert parse_reconcile(event) == expected


def test_everything_is_reconciled_unless_somebody_is_named() -> None:
    assert ReconcileEvent().is_whole
    assert ReconcileEvent(dry_run=True).is_whole
    assert not ReconcileEvent(friend_id="alice").is_whole
    assert not ReconcileEvent(friends={"alice": frozenset({Part.ROUTES})}).is_whole


@pytest.mark.parametrize(
    ("event", "paths"),
    [
        (None, [""]),
        ([], [""]),
        ("alice", [""]),
        (5, [""]),
        ({"dry-run": True}, ["/dry-run"]),
        ({"dry_run": "false"}, ["/dry_run"]),
        ({"dry_run": 1}, ["/dry_run"]),
        ({"dry_run": None}, ["/dry_run"]),
        ({"friend_id": "Alice"}, ["/friend_id"]),
        ({"friend_id": None}, ["/friend_id"]),
        ({"friend_id": "alice", "friends": {"bob": ["routes"]}}, ["/friends"]),
        ({"friends": {}}, ["/friends"]),
        ({"friends": None}, ["/friends"]),
        ({"friends": ["alice"]}, ["/friends"]),
        ({"friends": "alice"}, ["/friends"]),
        ({"friends": {f"friend-{n}": ["routes"] for n in range(1_001)}}, ["/friends"]),
        ({"friends": {"Alice": ["routes"]}}, ["/friends/Alice"]),
        ({"friends": {"alice": []}}, ["/friends/alice"]),
        ({"friends": {"alice": "routes"}}, ["/friends/alice"]),
        ({"friends": {"alice": ""}}, ["/friends/alice"]),
        ({"friends": {"alice": {"routes": True}}}, ["/friends/alice"]),
        ({"friends": {"alice": 5}}, ["/friends/alice"]),
        ({"friends": {"alice": ["everything"]}}, ["/friends/alice"]),
        ({"friends": {"alice": [["routes"]]}}, ["/friends/alice"]),
        ({"friends": {"alice": ["routes", 5]}}, ["/friends/alice"]),
    ],
)
def test_an_event_that_is_off_reconciles_nothing(event: Any, paths: list[str]) -> None:
    assert faults_of(event) == paths


@pytest.mark.parametrize(
    ("event", "paths"),
    [
        (None, [""]),
        ([], [""]),
        ({}, ["/friend_id", "/operation_id"]),
        ({"friend_id": "alice", "operation_id": "no id"}, ["/operation_id"]),
        ({"friend_id": "alice", "operation_id": 5}, ["/operation_id"]),
        ({"friend_id": "alice", "operation_id": ["x"]}, ["/operation_id"]),
    ],
)
def test_an_operation_is_named_by_both_its_ids(event: Any, paths: list[str]) -> None:
    with pytest.raises(InvalidInput) as refusal:
        parse_run_operation(event)
    assert [fault.path for fault in refusal.value.faults] == paths
