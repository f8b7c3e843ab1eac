"""What the product works on, as its owners see it; and how it comes to differ from the rows."""

from dataclasses import dataclass
from typing import Any

import boto3

from chalicelib.gateways.seam import Seam
from infra.local.cloudflare import CloudflareDouble
from tests.cluster_client import ClusterClient
from tests.harness import BUCKET, TABLE, Api

DISCORD_ID = "123456789012345678"
FRIEND = "/api/friends/alice"
INSIDE = "/api/v1/namespaces/friend-alice"
ROUTE = "/apis/traefik.io/v1alpha1/namespaces/friend-alice/ingressroutes/expose-app"
POLICY = "/apis/networking.k8s.io/v1/namespaces/friend-alice/networkpolicies/friend-netpol"
HOST = "app-alice.friends.example"
SCHEDULED = {
    "version": "0",
    "id": "53dc4d37-cffa-4f76-80c9-8b7d4a4d2eaa",
    "detail-type": "Scheduled Event",
    "source": "aws.events",
    "account": "123456789012",
    "time": "2026-11-25T12:00:00Z",
    "region": "us-east-1",
    "resources": ["arn:aws:events:us-east-1:123456789012:rule/x"],
    "detail": {},
}


@dataclass(frozen=True)
class Outside:
    """What the product works on, as its owners see it."""

    cluster: ClusterClient
    cloudflare: CloudflareDouble


def table() -> Any:
    return boto3.resource("dynamodb").Table(TABLE)


def repairs(report: Any) -> list[str]:
    return [each["what"] for each in report["repaired"]]


def codes(found: Any) -> set[str]:
    return {each["code"] for each in found}


def require_quiet(api: Api, seam: Seam) -> None:
    """Require that a further pass finds nothing, and writes its lease and counts its requests."""
    seam.writes.clear()
    sent = seam.calls["cloudflare"]
    report = api.reconcile()
    assert (report["ok"], report["changed"], report["repaired"]) == (True, 0, []), report
    assert +seam.writes == {"dynamodb": 2 + seam.calls["cloudflare"] - sent}


def delete_quota(outside: Outside) -> None:
    outside.cluster.delete(f"{INSIDE}/resourcequotas/friend-quota")


def widen_quota(outside: Outside) -> None:
    outside.cluster.merge(
        f"{INSIDE}/resourcequotas/friend-quota", {"spec": {"hard": {"requests.cpu": "64"}}}
    )


def age_quota(outside: Outside) -> None:
    """Leave the quota as a version wrote it that did not count finished pods."""
    older = {
        "metadata": {"annotations": {"friends-api/digest": "0" * 64}},
        "spec": {"hard": {"count/pods": None}},
    }
    outside.cluster.merge(f"{INSIDE}/resourcequotas/friend-quota", older)


def open_policy(outside: Outside) -> None:
    outside.cluster.merge(POLICY, {"spec": {"egress": [{}]}})


def switch_token_on(outside: Outside) -> None:
    outside.cluster.merge(
        f"{INSIDE}/serviceaccounts/default", {"automountServiceAccountToken": True}
    )


def delete_namespace(outside: Outside) -> None:
    outside.cluster.delete(INSIDE)


def lower_security(outside: Outside) -> None:
    outside.cluster.merge(
        INSIDE, {"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "privileged"}}}
    )


def delete_route(outside: Outside) -> None:
    outside.cluster.delete(ROUTE)


def bend_route(outside: Outside) -> None:
    outside.cluster.merge(ROUTE, {"spec": {"entryPoints": ["other"]}})


def delete_record(outside: Outside) -> None:
    outside.cloudflare.reset()


def forget_record_id(_: Outside) -> None:
    table().update_item(
        Key={"pk": "FRIEND#alice", "sk": "EXPOSURE#app"},
        UpdateExpression="SET record_id = :none",
        ExpressionAttributeValues={":none": None},
    )


def delete_profile(_: Outside) -> None:
    boto3.client("s3").delete_object(Bucket=BUCKET, Key="friends/alice/profile.json")


def edit_profile(_: Outside) -> None:
    client, key = boto3.client("s3"), "friends/alice/profile.json"
    found = client.head_object(Bucket=BUCKET, Key=key)
    client.put_object(Bucket=BUCKET, Key=key, Body=b"{}", Metadata=found["Metadata"])


def lose_identity(_: Outside) -> None:
    table().delete_item(Key={"pk": f"IDENTITY#discord#{DISCORD_ID}", "sk": "CLAIM"})


def lose_host(_: Outside) -> None:
    table().delete_item(Key={"pk": "HOST#app-alice.friends.example", "sk": "CLAIM"})


def leave_unready(_: Outside) -> None:
    table().update_item(
        Key={"pk": "FRIEND#alice", "sk": "PROFILE"},
        UpdateExpression="SET phase = :phase",
        ExpressionAttributeValues={":phase": "provisioning"},
    )


def lose_rows(friend_id: str = "alice") -> None:
    """Take away all that is recorded of a friend, behind the product's back."""
    for item in table().scan()["Items"]:
        if item.get("friend_id") == friend_id or item["pk"] == f"FRIEND#{friend_id}":
            table().delete_item(Key={"pk": item["pk"], "sk": item["sk"]})


def bury(friend_id: str = "alice") -> None:
    """Record a friend as deleted, as the end of a deletion does."""
    row = find_row(f"FRIEND#{friend_id}", "PROFILE")
    table().put_item(
        Item={
            "pk": f"TOMBSTONE#{row['uid']}",
            "sk": "FRIEND",
            "list_pk": "TOMBSTONES",
            "list_sk": f"{friend_id}#{row['uid']}",
            "friend_id": friend_id,
            "uid": row["uid"],
            "cluster": row["cluster"],
            "created_at": row["created_at"],
            "deleted_at": row["created_at"],
        }
    )


def orphan(friend_id: str = "alice") -> None:
    """Leave everything of a friend who was deleted behind: nothing is recorded of them but that."""
    bury(friend_id)
    tombstone = find_row(f"TOMBSTONE#{find_row(f'FRIEND#{friend_id}', 'PROFILE')['uid']}", "FRIEND")
    lose_rows(friend_id)
    table().put_item(Item=tombstone)


def remove_exposure() -> None:
    """Leave record and route of alice's exposure behind: it is recorded as removed."""
    row = find_row("FRIEND#alice", "EXPOSURE#app")
    claim = find_row(f"HOST#{HOST}", "CLAIM")
    table().put_item(Item={**claim, "expires_at": 1})
    table().put_item(
        Item={
            "pk": f"HOST#{HOST}",
            "sk": f"REMOVED#{row['uid']}",
            "list_pk": "CLAIMS",
            "list_sk": f"alice#HOST#{HOST}#removed",
            "friend_id": "alice",
            "uid": row["uid"],
            "exposure": "app",
            "free_at": 1,
        }
    )
    table().delete_item(Key={"pk": "FRIEND#alice", "sk": "EXPOSURE#app"})


def find_row(pk: str, sk: str) -> Any:
    """Return an item of the table, or None."""
    return table().get_item(Key={"pk": pk, "sk": sk}).get("Item")


def set_row(pk: str, sk: str, **values: Any) -> None:
    """Change an item as only a hand, or a release that nobody should have made, does."""
    table().put_item(Item={**find_row(pk, sk), **values})
