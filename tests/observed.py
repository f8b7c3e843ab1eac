"""What the whole world holds at one moment, looked at behind everybody's back."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from chalicelib.domain import kinds
from chalicelib.domain.dns import Record, RecordSpec
from chalicelib.domain.kinds import Kind
from chalicelib.domain.model import FriendRecord, JsonObject, NameClaim, namespace_of
from chalicelib.domain.namespace import ClusterLayout
from chalicelib.gateways.dynamodb import (
    PROFILE,
    exposures_in,
    to_friend,
    to_friendship,
    to_queue,
)
from infra.local.kube_objects import KIND_BY_PLURAL
from tests.factories import create_layout
from tests.world import (
    FOREIGN_KEYS,
    FOREIGN_NAMESPACE,
    FOREIGN_ROUTE,
    MAIN,
    ZONE_ID,
    Storage,
    World,
)

_CLAIM_KINDS = {"HOST": "host", "IDENTITY": "identity"}
_PROFILE_KEY = "/profile.json"


@dataclass(frozen=True)
class Observed:
    """All that is recorded, and all that there is."""

    items: Sequence[JsonObject]
    records: Mapping[str, FriendRecord]
    claims: frozenset[NameClaim]
    objects: Mapping[Kind, Sequence[JsonObject]]
    dns: Sequence[Record]
    files: Mapping[str, bytes]
    layout: ClusterLayout

    @classmethod
    def of(cls, world: World, storage: Storage = MAIN) -> "Observed":
        """Look at the world of the stage that has this storage, without a request."""
        items = world.aws.items(storage.table)
        return cls(
            items=items,
            records=_records_in(items),
            claims=frozenset(map(_to_claim, filter(_is_claim, items))),
            objects={
                kind: world.kube.objects(KIND_BY_PLURAL[kind.api_version, kind.plural])
                for kind in kinds.ALL_KINDS
            },
            dns=[_to_record(each) for each in world.cloudflare.records(ZONE_ID)],
            files=world.aws.objects(storage.bucket),
            layout=create_layout(),
        )

    @property
    def profiles(self) -> dict[str, Any]:
        """What each profile.json says, by the friend's id."""
        return {
            key.split("/")[1]: json.loads(body)
            for key, body in self.files.items()
            if key.endswith(_PROFILE_KEY)
        }

    def find(self, kind: Kind, desired: JsonObject) -> JsonObject | None:
        """Return the object with the desired one's name, or None."""
        wanted = desired["metadata"]["name"], desired["metadata"].get("namespace")
        for each in self.objects[kind]:
            if (each["metadata"]["name"], each["metadata"].get("namespace")) == wanted:
                return each
        return None

    def foreign(self) -> dict[str, Any]:
        """Return what is not the API's, each thing as it is, by name."""
        found: dict[str, Any] = {key: self.files.get(key) for key in FOREIGN_KEYS}
        found["zone"] = [each for each in self.dns if not each.is_ours]
        found["namespace"] = [
            each
            for things in self.objects.values()
            for each in things
            if FOREIGN_NAMESPACE in {each["metadata"]["name"], each["metadata"].get("namespace")}
        ]
        if "alice" in self.records:
            # It goes with the namespace that it is in, when this alice goes.
            name = f"route in the namespace of {self.records['alice'].friend.uid}"
            found[name] = self.find(kinds.INGRESS_ROUTE, _foreign_route())
        return found


def _foreign_route() -> JsonObject:
    return {"metadata": {"name": FOREIGN_ROUTE, "namespace": namespace_of("alice")}}


def _records_in(items: Sequence[JsonObject]) -> dict[str, FriendRecord]:
    records = {}
    for row in items:
        if row["sk"] != PROFILE:
            continue
        theirs = [each for each in items if each["pk"] == row["pk"] and each["uid"] == row["uid"]]
        records[str(row["id"])] = FriendRecord(
            to_friend(row),
            tuple(to_friendship(each) for each in theirs if each["sk"].startswith("AGENT#")),
            to_queue(row),
            tuple(exposures_in(theirs)),
        )
    return records


def _is_claim(item: JsonObject) -> bool:
    # A tombstone keeps a name free for a while; it is nobody's claim any more.
    return item["sk"] == "CLAIM" and "expires_at" not in item


def _to_claim(item: JsonObject) -> NameClaim:
    kind, _, name = item["pk"].partition("#")
    return NameClaim(_CLAIM_KINDS[kind], name, item["friend_id"], item["uid"])


def _to_record(record: JsonObject) -> Record:
    spec = RecordSpec(
        record["name"],
        record["type"],
        record["content"],
        record["proxied"],
        record["comment"] or "",
    )
    return Record(record["id"], spec)
