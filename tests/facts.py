"""What clients have brought about and can read back: sentences that can be compared.

Each starts with the id of the friend that it is about.
"""

import json
from collections.abc import Iterator
from itertools import chain
from typing import Any, Final

from chalicelib.domain import kinds
from chalicelib.domain.fields import contact_fields
from chalicelib.domain.kinds import Kind
from chalicelib.domain.model import Contact, FriendRecord
from tests.observed import Observed

APPLIED_KINDS: Final[tuple[Kind, ...]] = (
    kinds.CONFIG_MAP,
    kinds.SERVICE,
    kinds.DEPLOYMENT,
    kinds.JOB,
    kinds.CRON_JOB,
)
# Kubernetes puts it into every namespace.
_NOBODYS: Final = "kube-root-ca.crt"


def facts_in(seen: Observed) -> frozenset[str]:
    """Return all facts."""
    friends = (_facts_about(seen, record) for record in seen.records.values())
    return frozenset(chain.from_iterable(friends))


def fact_of_contact(friend_id: str, display_name: str, **ids: Any) -> str:
    """Return the fact that a friend is recorded so."""
    return f"{friend_id} is {json.dumps(contact_fields(Contact(display_name, **ids)))}"


def _facts_about(seen: Observed, record: FriendRecord) -> Iterator[str]:
    friend = record.friend
    yield f"{friend.id} is {json.dumps(contact_fields(friend.contact))}"
    for friendship in record.friendships:
        yield f"{friend.id} knows {friendship.agent_id}: {friendship.status}"
    for exposure in record.exposures:
        yield f"{friend.id} exposes {exposure.name}: {exposure.service}:{exposure.port}"
    for kind in APPLIED_KINDS:
        for thing in seen.objects[kind]:
            metadata = thing["metadata"]
            if metadata["namespace"] == friend.namespace and metadata["name"] != _NOBODYS:
                data = json.dumps(thing.get("data", {}))
                yield f"{friend.id} has {kind.name} {metadata['name']} {data}"
