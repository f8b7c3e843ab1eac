"""No function may do what it never does.

The opposite, a permission that is missing, fails every test in which it is missed (tests/policies).
"""

from collections.abc import Callable
from typing import Any

import boto3
import pytest

from chalicelib.services import reconciling
from chalicelib.services.execution import Turn
from infra.local.cloudflare import CloudflareDouble
from infra.local.cluster import ClusterDouble
from tests import policies
from tests.factories import AGENT_TOKEN
from tests.harness import BUCKET, TABLE, Api, Clock, configure_domain
from tests.manifests import (
    create_container,
    create_deployment_manifest,
    create_service_manifest,
)

DISCORD_ID = "123456789012345678"
FRIEND = "/api/friends/alice"
APPLY = f"{FRIEND}/namespace/apply"
EXPOSE = f"{FRIEND}/namespace/expose"
FUNCTIONS = sorted(
    path.stem.removeprefix("policy-").replace("-", "_")
    for path in policies.POLICIES.glob("policy-*.json")
)


@pytest.fixture
def start(backend: None, kube: ClusterDouble, cloudflare: CloudflareDouble) -> Callable[[], Api]:
    """Start a function cold: what another has read, it reads itself."""
    kube.timing.termination_seconds = 0.0
    environment = {**configure_domain(cloudflare), "REQUIRE_RELATIONSHIP": "true"}
    clock = Clock()
    policies.used.clear()
    return lambda: Api(environment, now=clock.now)


def use_the_api(api: Api) -> None:
    """Do what costs api_handler each of its permissions."""
    api.register_friend(discord_id=DISCORD_ID, token=AGENT_TOKEN)
    api.register_friend("bob", discord_id="1" * 18)
    api.get("/api/friends")
    api.get("/api/friends", token=AGENT_TOKEN)
    api.put(FRIEND, {"display_name": "Al", "discord_id": None})
    api.put(f"{FRIEND}/agents/mochi", {"status": "inactive"})
    taken = {"id": "alice", "display_name": "A"}
    api.post("/api/friends", taken, headers={"Idempotency-Key": "a-key-of-this-test"})
    api.post(APPLY, create_service_manifest())
    container = create_container(image="registry.example/web:does-not-exist")
    broken = create_deployment_manifest("web", pod={"containers": [container]})
    api.post(f"{APPLY}?wait=ready", broken)
    operation = api.get(f"{FRIEND}/operations").json[0]
    api.get(f"{FRIEND}/operations/{operation['id']}")
    api.post(EXPOSE, {"name": "app", "service": "web"})


def run_operations(
    start: Callable[[], Api], invocations: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Do what costs run_operation each of its permissions."""
    with monkeypatch.context() as patch:
        # There is no time for it, so that a fresh invocation goes on.
        patch.setattr(Turn, "has_time", property(lambda _: False))
        start().run_operation(invocations.pop())
    start().deliver(invocations)
    start().delete(f"{FRIEND}?confirm=alice")
    start().deliver(invocations)


def reconcile(
    start: Callable[[], Api], invocations: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Let things drift, and do what costs reconcile each of its permissions."""
    api, s3 = start(), boto3.client("s3")
    ours = {"revision": "2020-01-01T00:00:00.000000Z/000000000001"}
    s3.put_object(Bucket=BUCKET, Key="friends/nobody/profile.json", Body=b"{}", Metadata=ours)
    tombstone = {
        "pk": "TOMBSTONE#u",
        "sk": "FRIEND",
        "list_pk": "TOMBSTONES",
        "list_sk": "nobody#u",
    }
    since = {"created_at": "2020-01-01T00:00:00.000000Z", "deleted_at": "2021"}
    about = {"friend_id": "nobody", "uid": "u", "cluster": "main", **since}
    boto3.resource("dynamodb").Table(TABLE).put_item(Item={**tombstone, **about})
    api.post("/api/friends/bob/namespace/apply", create_service_manifest())
    api.post("/api/friends/bob/namespace/expose", {"name": "app", "service": "web"})
    s3.delete_object(Bucket=BUCKET, Key="friends/bob/profile.json")
    table = boto3.resource("dynamodb").Table(TABLE)
    for pk in ("HOST#app-bob.friends.example", f"IDENTITY#discord#{'1' * 18}"):
        table.delete_item(Key={"pk": pk, "sk": "CLAIM"})
    start().reconcile()
    api.post(
        "/api/friends/bob/namespace/apply",
        create_service_manifest(),
        headers={"Prefer": "respond-async"},
    )
    invocations.clear()
    start().reconcile()
    api.post("/api/friends/bob/namespace/apply?wait=ready", create_service_manifest())
    start().deliver(invocations)
    start().reconcile()
    api.register_friend("carol")
    for friend_id in ("bob", "carol"):
        s3.delete_object(Bucket=BUCKET, Key=f"friends/{friend_id}/profile.json")
    monkeypatch.setattr(reconciling, "_MOST_HERE", 1)
    start().reconcile()


def test_every_permission_of_every_function_is_used(
    start: Callable[[], Api], invocations: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    use_the_api(start())
    run_operations(start, invocations, monkeypatch)
    reconcile(start, invocations, monkeypatch)
    for function in FUNCTIONS:
        unused = policies.permissions_of(function) - policies.used[function]
        assert {each.action for each in unused} <= {*policies.BY_LAMBDA_ITSELF}, function


def test_a_permission_that_is_missing_is_noticed(start: Callable[[], Api]) -> None:
    with policies.acting_as("run_operation"):
        boto3.client("s3").list_objects_v2(Bucket=BUCKET)
    missing = policies.Permission("s3:ListBucket", "WorkspaceBucket")
    assert policies.refused == [("run_operation", missing)]
    policies.refused.clear()


WIDE = {
    "friends/api-tokens-??????",
    "friends/cloudflare-??????",
    "friends/kubeconfig/*",
    "WorkspaceBucket/friends/*/profile.json",
}
"""All that a pattern may stand for: a secret's six random characters, a cluster's or a friend's
name."""


@pytest.mark.parametrize("function", FUNCTIONS)
def test_no_permission_is_wider_than_it_has_to_be(function: str) -> None:
    for statement in policies.load_policy(function):
        assert statement["Effect"] == "Allow"
        assert not {"NotAction", "NotResource"} & statement.keys()
        assert not any("*" in action for action in statement["Action"])
    patterns = {each.resource for each in policies.permissions_of(function)}
    assert {each for each in patterns if {"*", "?"} & {*each}} <= WIDE


NOT_THE_APIS = [
    policies.Permission("s3:PutObject", "WorkspaceBucket/friends/alice/notes.md"),
    policies.Permission("s3:GetObject", "WorkspaceBucket/friends/alice/diary/today.json"),
    policies.Permission("s3:DeleteObject", "WorkspaceBucket/friends/profile.json"),
    policies.Permission("s3:PutObject", "WorkspaceBucket/agents/mochi/profile.json"),
    policies.Permission("secretsmanager:GetSecretValue", "friends/cloudflare-of-another-AbCdEf"),
    policies.Permission("secretsmanager:GetSecretValue", "friends/api-tokens-of-another-AbCdEf"),
    policies.Permission("dynamodb:Query", "FriendsTable/index/another"),
]


@pytest.mark.case("L5")
@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("other", NOT_THE_APIS, ids=str)
def test_a_function_reaches_the_apis_own_objects_only(
    function: str, other: policies.Permission
) -> None:
    assert not policies.allows(function, other)


def test_only_the_apis_own_folder_of_the_bucket_can_be_listed() -> None:
    conditions = [
        (function, statement.get("Condition"))
        for function in FUNCTIONS
        for statement in policies.load_policy(function)
        if "s3:ListBucket" in statement["Action"]
    ]
    assert conditions == [("reconcile", {"StringEquals": {"s3:prefix": "friends/"}})]
