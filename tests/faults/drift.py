"""What can be amiss in a world, planted: drift of every kind, and a stray of every kind."""

import json
from typing import Any, Final

import boto3

from chalicelib.domain.dns import owner_of
from chalicelib.domain.namespace import FRIEND_LABEL, MANAGED_BY_LABEL, MANAGER, UID_LABEL
from chalicelib.gateways.table import to_item
from tests.harness import BUCKET, TABLE
from tests.manifests import create_config_map_manifest
from tests.world import DOMAIN, ZONE_ID, World, create_route

_GHOST_UID: Final = "0" * 32
_GHOST_SINCE: Final = "2020-01-01T00:00:00.000000Z"
_NAMESPACE: Final = "/api/v1/namespaces/friend-alice"


def spoil_namespace(world: World) -> None:
    """Have one of alice's objects say something else, one be gone, and two labels be off."""
    admin = world.admin
    admin.merge(f"{_NAMESPACE}/resourcequotas/friend-quota", {"spec": {"hard": {"pods": "99"}}})
    admin.delete("/apis/networking.k8s.io/v1/namespaces/friend-alice/networkpolicies/friend-netpol")
    label = {"pod-security.kubernetes.io/enforce": "privileged"}
    admin.merge(_NAMESPACE, {"metadata": {"labels": label}})


def plant_drift(world: World) -> None:
    """Let everything be amiss: alice's world, work left undone, and the remains of a ghost."""
    _spoil_exposure(world)
    spoil_namespace(world)
    _lose_rows()
    _leave_work(world)
    _plant_strays(world)


def _spoil_exposure(world: World) -> None:
    (record,) = (
        each for each in world.cloudflare.records(ZONE_ID) if each["name"].startswith("app-")
    )
    fields = {name: record[name] for name in ("name", "type", "proxied", "comment")}
    world.cloudflare.seed(ZONE_ID, **fields, content="203.0.113.66")
    route = "/apis/traefik.io/v1alpha1/namespaces/friend-alice/ingressroutes/expose-app"
    world.admin.merge(route, {"spec": {"routes": []}})


def _lose_rows() -> None:
    """Lose what only the rows' readers would miss: claims, and what profile.json says."""
    table = boto3.resource("dynamodb").Table(TABLE)
    for pk in (f"HOST#app-alice.{DOMAIN.name}", f"IDENTITY#discord#{'1' * 18}"):
        table.delete_item(Key={"pk": pk, "sk": "CLAIM"})
    boto3.client("s3").put_object(Bucket=BUCKET, Key="friends/bob/profile.json", Body=b"{}")


def _leave_work(world: World) -> None:
    """Leave what was accepted undone: bob's apply, dave's registration, and the end of erin."""
    api = world.start()
    late = create_config_map_manifest("late")
    headers = {"Prefer": "respond-async"}
    assert api.post("/api/friends/bob/namespace/apply", late, headers=headers).status == 202
    api.register_friend("erin", discord_id="5" * 18)
    assert api.delete("/api/friends/erin?confirm=erin").status == 202
    world.kube.fail_next(status=503, times=99)
    assert api.post("/api/friends", {"id": "dave", "display_name": "Dave"}).status == 202
    world.kube.clear()
    world.invocations.clear()


def _plant_strays(world: World) -> None:
    labels = {MANAGED_BY_LABEL: MANAGER, FRIEND_LABEL: "ghost", UID_LABEL: _GHOST_UID}
    world.admin.call(
        "POST",
        "/api/v1/namespaces",
        {
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {"name": "friend-ghost", "labels": labels},
        },
    )
    row = (
        boto3.resource("dynamodb")
        .Table(TABLE)
        .get_item(Key={"pk": "FRIEND#alice", "sk": "PROFILE"})
    )
    uid = str(row["Item"]["uid"])
    theirs = {MANAGED_BY_LABEL: MANAGER, FRIEND_LABEL: "alice", UID_LABEL: uid}
    world.admin.create(create_route("expose-old", "friend-alice", labels=theirs))
    world.cloudflare.seed(
        ZONE_ID,
        name="old-ghost",
        type="A",
        content=DOMAIN.target,
        comment=owner_of(_GHOST_UID, "old"),
    )
    boto3.client("s3").put_object(
        Bucket=BUCKET,
        Key="friends/ghost/profile.json",
        Body=json.dumps({"id": "ghost"}).encode(),
        Metadata={"revision": f"{_GHOST_SINCE}/000000000001"},
    )
    for item in (_tombstone(), _removed(uid)):
        boto3.client("dynamodb").put_item(TableName=TABLE, Item=to_item(item))
    for pk in (f"HOST#old-ghost.{DOMAIN.name}", f"IDENTITY#discord#{'9' * 18}"):
        boto3.client("dynamodb").put_item(TableName=TABLE, Item=to_item(_claim(pk)))


def _tombstone() -> dict[str, Any]:
    return {
        "pk": f"TOMBSTONE#{_GHOST_UID}",
        "sk": "FRIEND",
        "list_pk": "TOMBSTONES",
        "list_sk": f"ghost#{_GHOST_UID}",
        "friend_id": "ghost",
        "uid": _GHOST_UID,
        "cluster": "main",
        "created_at": _GHOST_SINCE,
        "deleted_at": "2021-01-01T00:00:00.000000Z",
    }


def _removed(uid: str) -> dict[str, Any]:
    """Return what the removal of alice's exposure old has left in the table."""
    pk = f"HOST#old-alice.{DOMAIN.name}"
    return {
        "pk": pk,
        "sk": f"REMOVED#{uid}",
        "list_pk": "CLAIMS",
        "list_sk": f"alice#{pk}#removed",
        "friend_id": "alice",
        "uid": uid,
        "exposure": "old",
        "free_at": 1,
    }


def _claim(pk: str) -> dict[str, Any]:
    return {
        "pk": pk,
        "sk": "CLAIM",
        "list_pk": "CLAIMS",
        "list_sk": f"ghost#{pk}",
        "friend_id": "ghost",
        "uid": _GHOST_UID,
        "exposure": "old",
    }
