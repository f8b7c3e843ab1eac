"""What each request costs upstream, as a table: a call more or less is a decision, not an accident.

Counted on a warm app (clients made, tokens and kubeconfig read), at the wire. Each call of
Cloudflare's costs one of DynamoDB's, which counts it.
"""

from collections.abc import Callable
from typing import Any

import boto3
import pytest

from chalicelib.domain.model import Friendship, FriendshipStatus
from chalicelib.gateways import dynamodb
from infra.local.cloudflare import CloudflareDouble
from infra.local.cluster import ClusterDouble
from tests.aws_double import AwsDouble
from tests.cluster_client import ClusterClient, create_deployment, create_pod, wait_until
from tests.factories import AGENT_TOKEN, OTHER_AGENT_TOKEN, create_friend, create_friend_body
from tests.harness import TABLE, Api, Clock, configure_domain
from tests.manifests import (
    create_config_map_manifest,
    create_deployment_manifest,
    create_job_manifest,
    create_service_manifest,
)

DISCORD_ID = "123456789012345678"
FRIEND = "/api/friends/alice"
NAMESPACE = f"{FRIEND}/namespace"

APPLY = f"{NAMESPACE}/apply"
EXPOSE = f"{NAMESPACE}/expose"
FIVE = [
    create_config_map_manifest("settings"),
    create_config_map_manifest("pages"),
    create_service_manifest(),
    create_deployment_manifest("api"),
    create_job_manifest(),
]

Call = Callable[[Api], Any]

# request: (DynamoDB, cluster, S3, Secrets Manager, Lambda, Cloudflare)
BUDGET: dict[str, tuple[Call, tuple[int, int, int, int, int, int]]] = {
    "health": (lambda api: api.get("/api/health"), (0, 0, 0, 0, 0, 0)),
    "the description": (lambda api: api.get("/api/openapi.json"), (0, 0, 0, 0, 0, 0)),
    "the reference page": (lambda api: api.get("/api/docs"), (0, 0, 0, 0, 0, 0)),
    "list friends, admin": (lambda api: api.get("/api/friends"), (1, 0, 0, 0, 0, 0)),
    "list friends, agent": (
        lambda api: api.get("/api/friends", token=AGENT_TOKEN),
        (2, 0, 0, 0, 0, 0),
    ),
    "look up an identity": (
        lambda api: api.get(f"/api/friends?discord_id={DISCORD_ID}"),
        (2, 0, 0, 0, 0, 0),
    ),
    "look up a stranger": (
        lambda api: api.get("/api/friends?discord_id=" + "9" * 18),
        (1, 0, 0, 0, 0, 0),
    ),
    "delete a friend": (lambda api: api.delete(f"{FRIEND}?confirm=alice"), (2, 0, 0, 0, 1, 0)),
    # Friends, their counts, exposures, claims, watched operations, and the run's lease twice; a
    # list of each kind; the profiles; the zone, and its count.
    "reconcile, nothing to do": (lambda api: api.reconcile(), (8, 7, 1, 0, 0, 1)),
    "reconcile one friend, nothing to do": (
        lambda api: api.reconcile({"friend_id": "alice"}),
        (4, 7, 1, 0, 0, 1),
    ),
    "get a friend": (lambda api: api.get(FRIEND), (1, 0, 0, 0, 0, 0)),
    "register a friend": (
        lambda api: api.post("/api/friends", create_friend_body(id="bob")),
        (2, 7, 1, 0, 0, 0),
    ),
    "register, with a key": (
        lambda api: api.post(
            "/api/friends", create_friend_body(id="bob"), headers={"Idempotency-Key": "k"}
        ),
        (4, 7, 1, 0, 0, 0),
    ),
    "register a taken id": (
        lambda api: api.post("/api/friends", create_friend_body()),
        (2, 1, 0, 0, 0, 0),
    ),
    "update a friend": (lambda api: api.put(FRIEND, {"display_name": "Al"}), (2, 0, 2, 0, 0, 0)),
    "update without a change": (
        lambda api: api.put(FRIEND, {"display_name": "Alice"}),
        (1, 0, 1, 0, 0, 0),
    ),
    "set a relationship": (
        lambda api: api.put(f"{FRIEND}/agents/mochi", {"status": "active"}),
        (2, 0, 0, 0, 0, 0),
    ),
    "provision, nothing to do": (
        lambda api: api.post(f"{NAMESPACE}/provision"),
        (1, 6, 0, 0, 0, 0),
    ),
    # The namespace, and a write of each object; a rehearsal reads each one too.
    "apply five objects": (lambda api: api.post(APPLY, FIVE), (3, 6, 0, 0, 0, 0)),
    "apply one object": (lambda api: api.post(APPLY, FIVE[0]), (3, 2, 0, 0, 0, 0)),
    "apply, refused by admission": (
        lambda api: api.post(APPLY, {"kind": "Pod"}),
        (0, 0, 0, 0, 0, 0),
    ),
    "apply, dry run": (lambda api: api.post(f"{APPLY}?dry_run=true", FIVE[0]), (1, 3, 0, 0, 0, 0)),
    "apply, asynchronous": (
        lambda api: api.post(APPLY, FIVE, headers={"Prefer": "respond-async"}),
        (2, 0, 0, 0, 1, 0),
    ),
    # Read: namespace, service, policy, route, pods. Look at the record, make it, apply the route;
    # record what was seen.
    "expose": (lambda api: api.post(EXPOSE, {"name": "new", "service": "web"}), (6, 6, 0, 0, 0, 2)),
    "expose again": (
        lambda api: api.post(EXPOSE, {"name": "old", "service": "web"}),
        (5, 6, 0, 0, 0, 1),
    ),
    "list exposures": (lambda api: api.get(EXPOSE), (1, 0, 0, 0, 0, 0)),
    # The friend; that it may be looked; the count; what was seen.
    "check exposures": (lambda api: api.get(f"{EXPOSE}?check=true"), (4, 4, 0, 0, 0, 1)),
    "remove an exposure": (lambda api: api.delete(f"{EXPOSE}/old"), (5, 2, 0, 0, 0, 2)),
    "list domains": (lambda api: api.get("/api/domains"), (0, 0, 0, 0, 0, 0)),
    "list operations": (lambda api: api.get(f"{FRIEND}/operations"), (2, 0, 0, 0, 0, 0)),
    "get an operation": (
        lambda api: api.get(f"{FRIEND}/operations/19ab0000000-00000001"),
        (2, 0, 0, 0, 0, 0),
    ),
    # The namespace, which has to be the friend's, beside what is read of it or deleted.
    "list pods": (lambda api: api.get(f"{NAMESPACE}/pods"), (1, 2, 0, 0, 0, 0)),
    "status": (lambda api: api.get(f"{NAMESPACE}/status"), (1, 9, 0, 0, 0, 0)),
    "list secrets": (lambda api: api.get(f"{FRIEND}/secrets"), (1, 2, 0, 0, 0, 0)),
    "read a log": (lambda api: api.get(f"{NAMESPACE}/logs/web"), (1, 3, 0, 0, 0, 0)),
    "delete a deployment": (
        lambda api: api.delete(f"{NAMESPACE}/deployments/web"),
        (3, 3, 0, 0, 0, 0),
    ),
    "delete a deployment, dry run": (
        lambda api: api.delete(f"{NAMESPACE}/deployments/web?dry_run=true"),
        (1, 3, 0, 0, 0, 0),
    ),
    "delete a deployment, asynchronous": (
        lambda api: api.delete(f"{NAMESPACE}/deployments/web", headers={"Prefer": "respond-async"}),
        (2, 2, 0, 0, 1, 0),
    ),
    "delete a deployment that is not there": (
        lambda api: api.delete(f"{NAMESPACE}/deployments/none"),
        (1, 2, 0, 0, 0, 0),
    ),
    "an unknown friend": (
        lambda api: api.get("/api/friends/zoe/namespace/pods"),
        (1, 0, 0, 0, 0, 0),
    ),
    "a bad token": (
        lambda api: api.get("/api/friends", token="unknown-token-0123456789"),
        (0, 0, 0, 0, 0, 0),
    ),
    "a bad body": (lambda api: api.post("/api/friends", {"id": "A"}), (0, 0, 0, 0, 0, 0)),
}


@pytest.mark.parametrize("name", BUDGET)
def test_a_warm_request_costs_what_the_table_says(
    aws: AwsDouble,
    backend: None,
    kube: ClusterDouble,
    cloudflare: CloudflareDouble,
    name: str,
) -> None:
    api = create_api(cloudflare)
    api.register_friend(discord_id=DISCORD_ID)
    cluster = ClusterClient(kube.kubeconfig())
    cluster.create(create_pod("web"))
    cluster.apply(create_deployment("web"))
    wait_until(lambda: all(pod["ready"] for pod in api.get(f"{NAMESPACE}/pods").json))
    cluster.apply(in_namespace(create_service_manifest()))
    assert api.post(EXPOSE, {"name": "old", "service": "web"}).status == 200
    kube.requests.clear()
    cloudflare.requests.clear()
    aws.requests.clear()
    call, budget = BUDGET[name]
    call(api)
    services = ("dynamodb", "s3", "secretsmanager", "lambda")
    dynamodb, s3, secrets, lambdas = map(aws.requests.count, services)
    in_cluster, in_dns = len(kube.requests), len(cloudflare.requests)
    assert (dynamodb, in_cluster, s3, secrets, lambdas, in_dns) == budget


ANOTHER_AGENTS = {"token": OTHER_AGENT_TOKEN}
# What lists cost by how many friends there are, and by whom they are out of whose bounds.
LISTS: dict[str, tuple[dict[str, str], Call, int]] = {
    # The relationships alone.
    "an agent without friends, where relationships are required": (
        {"REQUIRE_RELATIONSHIP": "true"},
        lambda api: api.get("/api/friends?limit=1", **ANOTHER_AGENTS),
        1,
    ),
    "the same, without limit": (
        {"REQUIRE_RELATIONSHIP": "true"},
        lambda api: api.get("/api/friends", **ANOTHER_AGENTS),
        1,
    ),
    "an agent with 400, one on a page": (
        {"REQUIRE_RELATIONSHIP": "true"},
        lambda api: api.get("/api/friends?limit=1", token=AGENT_TOKEN),
        2,
    ),
    "an agent with 400, all at once": (
        {"REQUIRE_RELATIONSHIP": "true"},
        lambda api: api.get("/api/friends", token=AGENT_TOKEN),
        5,
    ),
    "an agent that 400 have blocked": (
        {},
        lambda api: api.get("/api/friends?limit=1", **ANOTHER_AGENTS),
        4,
    ),
    "an admin": ({}, lambda api: api.get("/api/friends?limit=1"), 1),
}


@pytest.mark.case("M3")
@pytest.mark.parametrize("name", LISTS)
def test_a_list_of_friends_costs_what_the_table_says_however_many_there_are(
    aws: AwsDouble, backend: None, name: str
) -> None:
    environment, call, budget = LISTS[name]
    fill_table([*[("mochi", "active")], *([] if environment else [("tofu", "blocked")])])
    api = Api(environment)
    assert api.get("/api/health").status == 200
    aws.requests.clear()
    assert call(api).status == 200
    assert aws.requests.count("dynamodb") == budget


def fill_table(agents: list[tuple[str, str]]) -> None:
    """Record 400 friends, each with the same relationships.

    Not by the store: moto copies the whole table for each transaction.
    """
    rows: list[Any] = []
    for number in range(400):
        friend = create_friend(id=f"friend{number:03}", uid=str(number))
        rows.append(dynamodb._friend_item(friend))  # noqa: SLF001 - as the store writes it
        for agent, status in agents:
            each = Friendship(agent, friend.id, FriendshipStatus(status), friend.created_at)
            rows.append(dynamodb._friendship_item(friend, each))  # noqa: SLF001 - the same
    with boto3.resource("dynamodb").Table(TABLE).batch_writer() as batch:
        for row in rows:
            batch.put_item(Item=row)


def create_api(cloudflare: CloudflareDouble) -> Api:
    return Api(configure_domain(cloudflare))


def in_namespace(manifest: Any) -> Any:
    return {**manifest, "metadata": {**manifest["metadata"], "namespace": "friend-alice"}}


def test_a_waiting_operation_costs_what_is_looked_at_and_no_more_within_two_seconds(
    aws: AwsDouble, backend: None, kube: ClusterDouble, invocations: list[Any]
) -> None:
    clock = Clock()
    api = Api(now=clock.now)
    api.register_friend()
    url = api.post(f"{APPLY}?wait=ready", create_deployment_manifest("api")).json["operation"][
        "url"
    ]
    aws.requests.clear()
    # Claim, start, its manifests, a checkpoint, the end; and how it stands.
    api.deliver(invocations)
    assert aws.requests == ["dynamodb"] * 6
    for looks in (1, 0):
        aws.requests.clear()
        kube.requests.clear()
        api.get(url)
        # Four lists; the right to look, and what was seen.
        assert (len(kube.requests), aws.requests) == (4 * looks, ["dynamodb"] * (2 + 2 * looks))
