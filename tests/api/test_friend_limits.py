"""How many friends an agent may register, and how many there may be: counted with their rows."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import boto3
import pytest

from chalicelib.domain.errors import UpstreamUnreachable
from chalicelib.gateways.dynamodb import DynamoFriendStore
from chalicelib.gateways.inventory import DynamoInventory
from infra.local.cluster import ClusterDouble
from tests.aws_double import AwsDouble
from tests.factories import ADMIN_TOKEN, AGENT_ID, AGENT_TOKEN, OTHER_AGENT_TOKEN
from tests.harness import TABLE, Api, Clock

LIMITS = {"FRIENDS_PER_AGENT": "2", "FRIENDS_MOST": "4"}
KEY = {"Idempotency-Key": "once"}
FULL = (409, "too_many_friends")


@pytest.fixture
def clock() -> Clock:
    """The time, which passes when a test says so."""
    return Clock()


@pytest.fixture
def api(backend: None, kube: ClusterDouble, clock: Clock) -> Api:
    """An app that takes two friends an agent, and four in all."""
    kube.timing.termination_seconds = 0.0
    return Api(LIMITS, now=clock.now)


def register(api: Api, name: str, token: str = AGENT_TOKEN, **options: Any) -> tuple[int, Any]:
    body = {"id": name, "display_name": name.title()}
    answer = api.post("/api/friends", body, token=token, **options)
    return answer.status, answer.json.get("code")


def counts_in(aws: AwsDouble) -> Mapping[str, int]:
    rows = [each for each in aws.items(TABLE) if each["pk"] == "COUNTER#friends"]
    return {each["sk"]: int(each["friends"]) for each in rows}


@pytest.mark.case("H4")
def test_forty_registrations_of_one_agent_end_at_its_limit(api: Api, aws: AwsDouble) -> None:
    answers = [register(api, f"friend{number}") for number in range(1, 41)]
    assert answers == [(201, None)] * 2 + [FULL] * 38
    assert counts_in(aws) == {"ALL": 2, AGENT_ID: 2}


@pytest.mark.case("H4")
@pytest.mark.parametrize(
    ("tokens", "expected"),
    [
        # Another agent has a limit of its own; an admin has that of all.
        ([AGENT_TOKEN] * 2 + [OTHER_AGENT_TOKEN], (201, None)),
        ([AGENT_TOKEN] * 2 + [ADMIN_TOKEN], (201, None)),
        ([ADMIN_TOKEN] * 4, (201, None)),
        ([ADMIN_TOKEN] * 5, FULL),
        ([AGENT_TOKEN] * 2 + [OTHER_AGENT_TOKEN] * 2 + [ADMIN_TOKEN], FULL),
        ([ADMIN_TOKEN] * 4 + [AGENT_TOKEN], FULL),
    ],
)
def test_a_limit_is_the_callers_own_or_that_of_all(
    api: Api, tokens: list[str], expected: tuple[int, Any]
) -> None:
    answers = [register(api, f"friend{number}", each) for number, each in enumerate(tokens)]
    assert answers == [(201, None)] * (len(tokens) - 1) + [expected]


@pytest.mark.case("H4")
def test_a_deletion_makes_room_for_one_more(
    api: Api, aws: AwsDouble, invocations: list[Any]
) -> None:
    for name in ("alice", "bob"):
        register(api, name)
    assert register(api, "carol") == FULL
    assert api.delete("/api/friends/bob?confirm=bob", token=AGENT_TOKEN).status == 202
    # Not before the friend is gone.
    assert register(api, "carol") == FULL
    api.deliver(invocations)
    assert counts_in(aws) == {"ALL": 1, AGENT_ID: 1}
    assert [register(api, each) for each in ("carol", "dave")] == [(201, None), FULL]


@pytest.mark.case("H4")
def test_a_deletion_by_another_agent_lowers_the_registrars_count(
    api: Api, aws: AwsDouble, invocations: list[Any]
) -> None:
    register(api, "alice")
    register(api, "bob", OTHER_AGENT_TOKEN)
    api.delete("/api/friends/alice?confirm=alice")
    (event,) = invocations
    api.deliver(invocations)
    api.deliver([event])
    assert counts_in(aws) == {"ALL": 1, AGENT_ID: 0, "tofu": 1}


@pytest.mark.case("H4")
def test_registrations_at_once_do_not_pass_the_limit(api: Api, aws: AwsDouble) -> None:
    with ThreadPoolExecutor(4) as pool:
        names = [f"friend{number}" for number in range(4)]
        answers = list(pool.map(partial(register, api), names))
    assert sorted(answers, key=str) == [(201, None)] * 2 + [FULL] * 2
    assert counts_in(aws) == {"ALL": 2, AGENT_ID: 2}


@pytest.mark.case("H4")
@pytest.mark.parametrize("headers", [KEY, {}])
def test_a_repeat_counts_once(api: Api, aws: AwsDouble, headers: dict[str, str]) -> None:
    register(api, "alice", headers=headers)
    first = register(api, "bob", headers={"Idempotency-Key": "two"})
    again = register(api, "bob", headers={"Idempotency-Key": "two"})
    assert (first, again) == ((201, None), (201, None))
    assert register(api, "bob") == (409, "id_taken")
    assert counts_in(aws) == {"ALL": 2, AGENT_ID: 2}


@pytest.mark.case("H4")
def test_a_repeat_at_the_limit_after_a_crash_takes_up_what_was_recorded(
    api: Api, aws: AwsDouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    register(api, "alice")
    with monkeypatch.context() as patch:

        def be_away(*_: object) -> None:
            raise UpstreamUnreachable("DynamoDB is away.", code="dynamodb_unreachable")

        patch.setattr(DynamoFriendStore, "mark", be_away)
        assert register(api, "bob", headers=KEY)[0] == 503
    assert register(api, "bob", headers=KEY) == (201, None)
    assert counts_in(aws) == {"ALL": 2, AGENT_ID: 2}


@pytest.mark.case("H4")
@pytest.mark.parametrize("code", ["id_taken", "platform_id_taken"])
def test_a_refused_registration_is_not_counted(api: Api, aws: AwsDouble, code: str) -> None:
    api.register_friend(discord_id="1" * 18)
    name = "alice" if code == "id_taken" else "bob"
    body = {"id": name, "display_name": "B", "discord_id": "1" * 18}
    assert api.post("/api/friends", body, token=AGENT_TOKEN).json["code"] == code
    assert counts_in(aws) == {"ALL": 1}


@pytest.mark.case("H4")
def test_the_refusal_says_what_to_do(api: Api) -> None:
    for number in range(2):
        register(api, f"friend{number}")
    body = {"id": "one-more", "display_name": "One"}
    answer = api.post("/api/friends", body, token=AGENT_TOKEN)
    assert "FRIENDS_PER_AGENT" in answer.json["error"]
    assert "Delete one" in answer.json["error"]


@pytest.mark.parametrize("is_listed", [True, False])
@pytest.mark.case("H4")
def test_friends_from_before_there_were_counts_are_counted_by_a_run(
    api: Api, aws: AwsDouble, clock: Clock, is_listed: bool
) -> None:
    register(api, "alice")
    register(api, "bob", ADMIN_TOKEN)
    forget_counts(*(["ALL", AGENT_ID] if is_listed else ["ALL"]))
    clock.pass_seconds(61)
    planned = api.reconcile({"dry_run": True})
    assert "ALL" not in counts_in(aws)
    report = api.reconcile()
    assert counts_in(aws) == {"ALL": 2, AGENT_ID: 1}
    told = [each["code"] for each in report["repaired"]]
    assert told == ["counted"] * (2 if is_listed else 1)
    assert planned["repaired"] == report["repaired"]
    before = len(aws.items(TABLE))
    assert api.reconcile()["repaired"] == []
    assert len(aws.items(TABLE)) == before


@pytest.mark.case("H4")
@pytest.mark.parametrize("wrong", [-1, 0, 1, 4])
def test_a_count_that_is_wrong_is_corrected(
    api: Api, aws: AwsDouble, clock: Clock, wrong: int
) -> None:
    for name in ("alice", "bob"):
        register(api, name)
    set_count("ALL", wrong)
    api.reconcile()
    # It may be ahead of the index: a count that has just changed is left alone.
    assert counts_in(aws)["ALL"] == wrong
    clock.pass_seconds(61)
    api.reconcile()
    assert counts_in(aws) == {"ALL": 2, AGENT_ID: 2}


@pytest.mark.case("H4")
@pytest.mark.parametrize("is_first", [True, False])
def test_a_registration_while_a_run_counts_is_not_lost(
    api: Api, aws: AwsDouble, clock: Clock, monkeypatch: pytest.MonkeyPatch, is_first: bool
) -> None:
    register(api, "alice")
    set_count("ALL", 3)
    if is_first:
        forget_counts("ALL")
    clock.pass_seconds(61)
    correct = DynamoInventory.correct_count

    def register_first(*arguments: Any, **options: Any) -> bool:
        monkeypatch.undo()
        clock.pass_seconds(1)
        assert register(api, "bob", ADMIN_TOKEN) == (201, None)
        return correct(*arguments, **options)

    monkeypatch.setattr(DynamoInventory, "correct_count", register_first)
    assert api.reconcile()["repaired"] == []
    clock.pass_seconds(61)
    api.reconcile()
    assert counts_in(aws)["ALL"] == 2


@pytest.mark.case("H4")
def test_a_count_that_cannot_be_read_keeps_no_run_from_the_rest(
    api: Api, aws: AwsDouble, clock: Clock
) -> None:
    register(api, "alice")
    boto3.client("dynamodb").put_item(
        TableName=TABLE, Item={"pk": {"S": "COUNTER#friends"}, "sk": {"S": "ALL"}}
    )
    clock.pass_seconds(61)
    report = api.reconcile()
    assert (report["checked"], report["failed"][0]["code"]) == (1, "damaged_row")


def forget_counts(*names: str) -> None:
    for name in names:
        key = {"pk": {"S": "COUNTER#friends"}, "sk": {"S": name}}
        boto3.client("dynamodb").delete_item(TableName=TABLE, Key=key)


def set_count(name: str, friends: int) -> None:
    boto3.client("dynamodb").update_item(
        TableName=TABLE,
        Key={"pk": {"S": "COUNTER#friends"}, "sk": {"S": name}},
        UpdateExpression="SET friends = :friends",
        ExpressionAttributeValues={":friends": {"N": str(friends)}},
    )
