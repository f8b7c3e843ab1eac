"""What a pass may touch, however it looks: what is another's, what is older, what comes back."""

import json
from typing import Any

import boto3

from chalicelib.domain.dns import owner_of
from chalicelib.gateways.seam import Seam
from infra.local.cloudflare import CloudflareDouble
from infra.local.cluster import ClusterDouble
from tests.api.reconcile.outside import (
    DISCORD_ID,
    FRIEND,
    HOST,
    ROUTE,
    codes,
    find_row,
    repairs,
    require_quiet,
    table,
)
from tests.cluster_client import ClusterClient
from tests.harness import BUCKET, ZONE_ID, Api, Clock, configure_domain, read_profile
from tests.manifests import create_service_manifest

SECOND_ZONE = "f" * 32


def expose_everybody(api: Api, count: int) -> list[str]:
    """Register so many more friends, each with a service on the web; return their ids."""
    friends = [f"f{number}" for number in range(count)]
    for friend_id in friends:
        api.register_friend(friend_id)
        expose(api, friend_id, "app")
    return friends


def expose(api: Api, friend_id: str, name: str) -> None:
    """Expose a friend's web service under a name."""
    url = f"/api/friends/{friend_id}/namespace"
    assert api.post(f"{url}/apply", create_service_manifest()).status == 200
    assert api.post(f"{url}/expose", {"name": name, "service": "web"}).status == 200


def test_another_deployments_records_are_never_mass_deleted_where_ours_belong(
    api: Api, cloudflare: CloudflareDouble
) -> None:
    friends = expose_everybody(api, 6)
    cloudflare.reset()
    for number, friend_id in enumerate(friends):
        name, theirs = f"app-{friend_id}.friends.example", owner_of(f"{number}" * 32, "app")
        cloudflare.seed(ZONE_ID, type="A", name=name, content="198.51.100.7", comment=theirs)
    before = {each["id"] for each in cloudflare.records(ZONE_ID)}
    assert codes(api.reconcile()["refused"]) == {"record_not_ours"}
    assert before <= {each["id"] for each in cloudflare.records(ZONE_ID)}


def test_h06_a_former_friends_record_makes_way_for_the_new_one_in_one_pass(
    api: Api, seam: Seam, cloudflare: CloudflareDouble
) -> None:
    cloudflare.reset()
    former = owner_of("0" * 32, "app")
    tombstone = {"pk": f"TOMBSTONE#{'0' * 32}", "sk": "FRIEND", "list_pk": "TOMBSTONES"}
    about = {"friend_id": "alice", "uid": "0" * 32, "cluster": "main", "list_sk": "alice#0"}
    table().put_item(Item={**tombstone, **about, "created_at": "2020", "deleted_at": "2021"})
    cloudflare.seed(ZONE_ID, type="A", name=HOST, content="198.51.100.7", comment=former)
    api.reconcile()
    uid = find_row("FRIEND#alice", "PROFILE")["uid"]
    comments = [each["comment"] for each in cloudflare.records(ZONE_ID)]
    assert comments == [owner_of(uid, "app")]
    require_quiet(api, seam)


def test_a_profile_that_somebody_else_wrote_is_reported_and_left_alone(api: Api) -> None:
    key = "friends/mallory/profile.json"
    boto3.client("s3").put_object(Bucket=BUCKET, Key=key, Body=b'{"by": "an agent"}')
    assert codes(api.reconcile()["refused"]) == {"profile_not_ours"}
    assert read_profile("mallory") == {"by": "an agent"}


def test_a_row_from_a_backup_gets_its_profile_back(api: Api, seam: Seam) -> None:
    row = find_row("FRIEND#alice", "PROFILE")
    assert api.put(FRIEND, {"display_name": "New", "discord_id": DISCORD_ID}).status == 200
    table().put_item(Item=row)
    assert repairs(api.reconcile()) == ["profile.json written"]
    assert read_profile("alice")["display_name"] == row["display_name"]
    require_quiet(api, seam)


def test_a_revision_that_no_row_ever_had_pins_no_profile(api: Api) -> None:
    boto3.client("s3").put_object(
        Bucket=BUCKET,
        Key="friends/alice/profile.json",
        Body=json.dumps({"id": "mallory"}).encode(),
        Metadata={"revision": "9999"},
    )
    api.reconcile()
    assert read_profile("alice")["id"] == "alice"


def test_many_deletions_under_way_are_no_mass_deletion(api: Api, invocations: list[Any]) -> None:
    for friend_id in expose_everybody(api, 6):
        assert api.delete(f"/api/friends/{friend_id}?confirm={friend_id}").status == 202
    assert api.reconcile()["refused"] == []


def test_a_row_from_a_backup_beside_its_own_tombstone_gets_its_name_back(
    api: Api, seam: Seam, cluster: ClusterClient
) -> None:
    row = find_row("FRIEND#alice", "EXPOSURE#app")
    assert api.delete(f"{FRIEND}/namespace/expose/app").status == 200
    table().put_item(Item=row)
    api.reconcile()
    assert "expires_at" not in find_row(f"HOST#{HOST}", "CLAIM")
    assert cluster.find(ROUTE)
    require_quiet(api, seam)


def test_a_host_name_that_lost_its_claim_and_its_record_gets_both_in_one_pass(
    api: Api, seam: Seam, cloudflare: CloudflareDouble
) -> None:
    cloudflare.reset()
    table().delete_item(Key={"pk": f"HOST#{HOST}", "sk": "CLAIM"})
    api.reconcile()
    assert [each["name"] for each in cloudflare.records(ZONE_ID)] == [HOST]
    require_quiet(api, seam)


def test_a_deletion_is_remembered_for_as_long_as_it_takes(api: Api, invocations: list[Any]) -> None:
    operation = api.delete(f"{FRIEND}?confirm=alice").json["operation"]["id"]
    assert "expires_at" not in find_row("OPERATIONS#alice", operation)
    api.deliver(invocations)
    assert "expires_at" in find_row("OPERATIONS#alice", operation)


def test_a_stray_record_in_the_friends_other_domain_goes(
    backend: None, kube: ClusterDouble, cloudflare: CloudflareDouble, clock: Clock
) -> None:
    environment = configure_domain(cloudflare)
    second = {"name": "second.example", "zone_id": SECOND_ZONE, "target": "t.cfargotunnel.com"}
    domains = json.dumps([*json.loads(environment["DOMAINS"]), second])
    api = Api({**environment, "DOMAINS": domains}, now=clock.now)
    api.register_friend()
    body = {"name": "app", "service": "web", "domain": "second.example"}
    assert api.post(f"{FRIEND}/namespace/apply", create_service_manifest()).status == 200
    assert api.post(f"{FRIEND}/namespace/expose", body).status == 200
    assert api.delete(f"{FRIEND}/namespace/expose/app").status == 200
    expose(api, "alice", "app")
    owner = owner_of(find_row("FRIEND#alice", "PROFILE")["uid"], "app")
    stray = {"type": "CNAME", "name": "app-alice.second.example", "content": second["target"]}
    cloudflare.seed(SECOND_ZONE, **stray, comment=owner)
    api.reconcile()
    assert cloudflare.records(SECOND_ZONE) == []
