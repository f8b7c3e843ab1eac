"""Writes that DynamoDB makes and whose answers are lost: botocore sends them again by itself.

The repeat meets its own first try: its own lease, its own row. It is to see that it is its own.
"""

import itertools
from collections.abc import Callable
from typing import Any

import pytest

from infra.local.cloudflare import CloudflareDouble
from infra.local.cluster import ClusterDouble
from tests.aws_double import AwsDouble
from tests.factories import AGENT_TOKEN, create_friend_body
from tests.harness import Api, configure_domain
from tests.manifests import create_config_map_manifest, create_service_manifest

KEY = {"Idempotency-Key": "once"}
FRIEND = "/api/friends/alice"
NAMESPACE = f"{FRIEND}/namespace"
WRITES = ("PutItem", "UpdateItem", "DeleteItem", "TransactWriteItems")

Call = Callable[[Api], Any]
REQUESTS: dict[str, tuple[Call, int]] = {
    "register": (
        lambda api: api.post("/api/friends", create_friend_body(id="bob", signal="+15550100199")),
        201,
    ),
    "register, with a key": (
        lambda api: api.post("/api/friends", create_friend_body(id="bob"), headers=KEY),
        201,
    ),
    "register, an agent with a key": (
        lambda api: api.post(
            "/api/friends", create_friend_body(id="bob"), headers=KEY, token=AGENT_TOKEN
        ),
        201,
    ),
    "provision, with a key": (lambda api: api.post(f"{NAMESPACE}/provision", headers=KEY), 200),
    "update": (lambda api: api.put(FRIEND, {"discord_id": None, "signal": "+15550100199"}), 200),
    "set a relationship": (
        lambda api: api.put(f"{FRIEND}/agents/mochi", {"status": "active"}),
        200,
    ),
    "remove a relationship": (lambda api: api.delete(f"{FRIEND}/agents/tofu"), 200),
    "apply": (lambda api: api.post(f"{NAMESPACE}/apply", create_config_map_manifest()), 200),
    "apply, with a key": (
        lambda api: api.post(f"{NAMESPACE}/apply", create_config_map_manifest(), headers=KEY),
        200,
    ),
    "apply, asynchronous": (
        lambda api: api.post(
            f"{NAMESPACE}/apply", create_config_map_manifest(), headers={"Prefer": "respond-async"}
        ),
        202,
    ),
    "expose": (
        lambda api: api.post(f"{NAMESPACE}/expose", {"name": "new", "service": "web"}),
        200,
    ),
    "expose, with a key": (
        lambda api: api.post(f"{NAMESPACE}/expose", {"name": "new", "service": "web"}, headers=KEY),
        200,
    ),
    "unexpose": (lambda api: api.delete(f"{NAMESPACE}/expose/old"), 200),
    "delete": (lambda api: api.delete(f"{FRIEND}?confirm=alice"), 202),
}


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("botocore.endpoint.time.sleep", lambda _: None)


@pytest.mark.case("L3")
@pytest.mark.parametrize("name", REQUESTS)
def test_a_write_that_botocore_repeats_meets_itself_and_goes_on(
    aws: AwsDouble,
    backend: None,
    kube: ClusterDouble,
    cloudflare: CloudflareDouble,
    name: str,
) -> None:
    api = Api(configure_domain(cloudflare))
    api.register_friend(discord_id="1" * 18)
    api.put(f"{FRIEND}/agents/tofu", {"status": "active"})
    assert api.post(f"{NAMESPACE}/apply", create_service_manifest()).status == 200
    assert api.post(f"{NAMESPACE}/expose", {"name": "old", "service": "web"}).status == 200
    call, expected = REQUESTS[name]
    saved = (aws.save({"friends": "workspace"}), kube.save(), cloudflare.save())
    for operation in WRITES:
        for number in itertools.count(1):
            for restore in saved:
                restore()
            aws.lose_answer(operation, number)
            answer = call(api)
            assert (answer.status, operation, number) == (expected, operation, number), answer.text
            if aws.has_answers_to_lose:
                aws.forget_faults()
                break


@pytest.mark.case("L3")
@pytest.mark.parametrize("event", [{}, {"friend_id": "alice"}])
def test_a_run_whose_lease_is_granted_in_an_answer_that_is_lost_goes_on(
    aws: AwsDouble, api: Api, event: dict[str, str]
) -> None:
    api.register_friend()
    aws.lose_answer("UpdateItem")
    assert api.reconcile(event)["ok"] is True


@pytest.mark.case("L3")
def test_a_worker_whose_lease_is_granted_in_an_answer_that_is_lost_goes_on(
    aws: AwsDouble, api: Api, invocations: list[Any]
) -> None:
    api.register_friend()
    accepted = api.post(
        f"{NAMESPACE}/apply", create_config_map_manifest(), headers={"Prefer": "respond-async"}
    )
    aws.lose_answer("UpdateItem")
    (report,) = api.deliver(invocations)
    assert (accepted.status, report["operation"]["status"]) == (202, "succeeded")
