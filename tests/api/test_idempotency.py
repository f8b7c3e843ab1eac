"""Idempotency-Key: a POST that is sent again."""

from typing import Any

import boto3
import pytest

from chalicelib.domain.errors import UpstreamUnreachable
from chalicelib.gateways.answers import DynamoAnswerStore
from chalicelib.gateways.aws import AwsClients
from chalicelib.gateways.dynamodb import DynamoFriendStore
from chalicelib.ports import StoredAnswer
from infra.local.cluster import ClusterDouble
from tests import harness
from tests.factories import ADMIN_TOKEN, AGENT_ID, AGENT_TOKEN, create_friend_body
from tests.harness import TABLE, Api

KEY = {"Idempotency-Key": "retry-1"}


def test_the_same_request_gets_the_first_answer_again(api: Api, kube: ClusterDouble) -> None:
    first = api.post("/api/friends", create_friend_body(), headers=KEY)
    kube.requests.clear()
    again = api.post("/api/friends", create_friend_body(), headers=KEY)
    assert (first.status, again.status) == (201, 201)
    assert again.json == first.json
    assert again.headers["Location"] == first.headers["Location"]
    assert again.headers["ETag"] == first.headers["ETag"]
    assert again.headers["Idempotency-Replayed"] == "true"
    assert "Idempotency-Replayed" not in first.headers
    assert kube.requests == []


def test_the_same_json_written_differently_is_the_same_request(api: Api) -> None:
    api.post("/api/friends", create_friend_body(), headers=KEY)
    body = b'{ "display_name": "Alice",\n "id": "alice" }'
    headers = {**KEY, "Content-Type": "application/json"}
    assert api.call("POST", "/api/friends", raw_body=body, headers=headers).status == 201


def test_h04_the_same_key_for_another_request_is_refused(api: Api) -> None:
    api.post("/api/friends", create_friend_body(), headers=KEY)
    answer = api.post("/api/friends", create_friend_body(id="bob"), headers=KEY)
    assert (answer.status, answer.json["code"]) == (422, "idempotency_key_reused")
    answer = api.post("/api/friends/alice/namespace/provision", headers=KEY)
    assert answer.status == 422
    assert api.get("/api/friends/bob").status == 404


def test_a_key_belongs_to_its_token(api: Api) -> None:
    api.post("/api/friends", create_friend_body(), headers=KEY, token=ADMIN_TOKEN)
    bob = create_friend_body(id="bob")
    assert api.post("/api/friends", bob, headers=KEY, token=AGENT_TOKEN).status == 201


def test_what_depends_on_the_world_is_decided_anew(api: Api) -> None:
    api.register_friend(discord_id="1" * 17)
    bob = create_friend_body(id="bob", discord_id="1" * 17)
    assert api.post("/api/friends", bob, headers=KEY).status == 409
    api.put("/api/friends/alice", {"discord_id": None})
    assert api.post("/api/friends", bob, headers=KEY).status == 201


def test_an_agent_that_was_blocked_since_gets_no_kept_answer(api: Api) -> None:
    body = create_friend_body(signal="+15550100199")
    provision = "/api/friends/alice/namespace/provision"
    other = {"Idempotency-Key": "retry-2"}
    assert api.post("/api/friends", body, headers=KEY, token=AGENT_TOKEN).status == 201
    assert api.post(provision, headers=other, token=AGENT_TOKEN).status == 200
    api.put(f"/api/friends/alice/agents/{AGENT_ID}", {"status": "blocked"})
    again = api.post("/api/friends", body, headers=KEY, token=AGENT_TOKEN)
    assert (again.status, "5550100199" in again.text) == (403, False)
    assert api.post(provision, headers=other, token=AGENT_TOKEN).status == 403


def test_what_may_pass_is_tried_again(api: Api, kube: ClusterDouble) -> None:
    api.register_friend()
    url = "/api/friends/alice/namespace/provision"
    kube.fail_next(status=503, times=50)
    assert api.post(url, headers=KEY, remaining_seconds=5).status == 503
    kube.clear()
    assert api.post(url, headers=KEY).status == 200


def test_h04_a_key_that_was_given_back_takes_up_no_other_request(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:

        def be_away(*_: object) -> None:
            raise UpstreamUnreachable("DynamoDB is away.", code="dynamodb_unreachable")

        patch.setattr(DynamoFriendStore, "mark", be_away)
        assert api.post("/api/friends", create_friend_body(), headers=KEY).status == 503
    other = create_friend_body(display_name="Another")
    assert api.post("/api/friends", other, headers=KEY).json["code"] == "id_taken"
    assert api.post("/api/friends", create_friend_body(), headers=KEY).status == 201


def test_a_key_that_was_forgotten_does_not_outlive_a_block(api: Api) -> None:
    body = create_friend_body(signal="+15550100199")
    api.post("/api/friends", body, headers=KEY, token=AGENT_TOKEN)
    api.put(f"/api/friends/alice/agents/{AGENT_ID}", {"status": "blocked"})
    _end_lease()
    again = api.post("/api/friends", body, headers=KEY, token=AGENT_TOKEN)
    assert (again.status, "5550100199" in again.text) == (403, False)


def test_while_the_first_one_runs_the_second_waits(api: Api) -> None:
    api.register_friend()
    url = "/api/friends/alice/namespace/provision"
    api.post(url, headers=KEY)
    _forget_answer()
    answer = api.post(url, headers=KEY)
    assert (answer.status, answer.json["code"]) == (409, "idempotency_key_in_use")
    assert int(answer.headers["Retry-After"]) >= 1


def test_two_requests_with_one_request_id_are_two(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    # API Gateway takes the id that a client sends as X-Amzn-RequestId for its own.
    build_event = harness.build_event

    def build_named(*about: Any) -> dict[str, Any]:
        event = build_event(*about)
        event["requestContext"]["requestId"] = "mine"
        return event

    create, seconds = DynamoFriendStore.create, list[Any]()

    def create_meanwhile(self: Any, *about: Any) -> None:
        if not seconds:
            seconds.append(None)
            seconds[0] = api.post("/api/friends", create_friend_body(), headers=KEY)
        create(self, *about)

    monkeypatch.setattr(harness, "build_event", build_named)
    monkeypatch.setattr(DynamoFriendStore, "create", create_meanwhile)
    first = api.post("/api/friends", create_friend_body(), headers=KEY)
    (second,) = seconds
    assert first.status == 201
    assert (second.status, second.json["code"]) == (409, "idempotency_key_in_use")


def test_a_request_that_died_is_taken_up_by_its_repeat(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:

        def die(*_: object, **__: object) -> None:
            raise KeyboardInterrupt

        patch.setattr(DynamoAnswerStore, "keep", die)
        with pytest.raises(KeyboardInterrupt):
            api.post("/api/friends", create_friend_body(), headers=KEY)
    _end_lease()
    answer = api.post("/api/friends", create_friend_body(), headers=KEY)
    assert (answer.status, answer.json["phase"]) == (201, "ready")


def test_an_attempt_that_outlived_its_lease_touches_nothing(api: Api) -> None:
    store = DynamoAnswerStore(AwsClients(), TABLE)
    store.claim("t#k", "digest", owner="first", lease_seconds=0)
    store.claim("t#k", "digest", owner="second", lease_seconds=35)
    store.release("t#k", owner="first")
    store.keep("t#k", StoredAnswer(500, {}, "{}"), owner="first")
    store.keep("t#k", StoredAnswer(201, {}, "{}"), owner="second")
    kept = store.claim("t#k", "digest", owner="third", lease_seconds=35)
    assert kept.answer == StoredAnswer(201, {}, "{}")


def test_an_attempt_learns_that_another_died_before_it(api: Api) -> None:
    store = DynamoAnswerStore(AwsClients(), TABLE)
    first = store.claim("t#k", "digest", owner="first", lease_seconds=0)
    second = store.claim("t#k", "digest", owner="second", lease_seconds=35)
    assert (first.is_repeat, second.is_repeat) == (False, True)


def test_a_key_that_cannot_be_given_back_hides_no_error(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise UpstreamUnreachable("DynamoDB is busy.", code="dynamodb_busy")

    monkeypatch.setattr(DynamoAnswerStore, "release", fail)
    answer = api.post("/api/friends/zoe/namespace/provision", headers=KEY)
    assert answer.status == 404
    api.register_friend()
    answer = api.post("/api/friends", create_friend_body(), headers={"Idempotency-Key": "2"})
    assert answer.status == 409


@pytest.mark.parametrize("key", ["", " ", "a b", "ü", "x" * 256])
def test_a_key_is_short_visible_ascii(api: Api, key: str) -> None:
    headers = {"Idempotency-Key": key}
    answer = api.post("/api/friends", create_friend_body(), headers=headers)
    assert (answer.status, answer.json["details"][0]["path"]) == (400, "Idempotency-Key")


def _forget_answer() -> None:
    _update("SET lease_until = :until REMOVE #status", {":until": {"N": "99999999999"}})


def _end_lease() -> None:
    _update("SET lease_until = :until REMOVE #status", {":until": {"N": "0"}})


def _update(expression: str, values: dict[str, dict[str, str]]) -> None:
    client = boto3.client("dynamodb")
    items = client.scan(TableName=TABLE)["Items"]
    (item,) = [each for each in items if str(each["pk"]["S"]).startswith("IDEMPOTENCY#")]
    client.update_item(
        TableName=TABLE,
        Key={"pk": item["pk"], "sk": item["sk"]},
        UpdateExpression=expression,
        ExpressionAttributeNames={"#status": "status"},
        ExpressionAttributeValues=values,
    )
