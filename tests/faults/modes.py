"""The ways in which a call to an outside system goes wrong, and which of them a call can meet."""

from enum import StrEnum
from typing import Final

from chalicelib.gateways.seam import Outgoing

CLUSTER: Final = "cluster"
CLOUDFLARE: Final = "cloudflare"
DYNAMODB: Final = "dynamodb"


class Mode(StrEnum):
    """What becomes of one call."""

    CRASH_BEFORE = "crash before"
    """The process dies, and nothing was sent."""
    CRASH_AFTER = "crash after"
    """The call took effect, and the process dies before it learns of that."""
    TIMEOUT = "timeout after"
    """The call took effect, and its answer is lost: the caller sees a time-out."""
    REPEATED = "repeated"
    """As before, but botocore notices and repeats the call: the caller sees the second answer."""
    THROTTLED = "429"
    """The system takes no more at the moment, and says so."""
    UNAVAILABLE = "5xx"
    """The system fails, and nothing took effect."""
    CONFLICT = "conflict"
    """Somebody else is at work on the same thing, says the system, and nothing took effect."""
    OUTAGE = "outage"
    """From this call on, the system refuses all calls with 429, until the process is over."""


_ALWAYS: Final = frozenset(
    {Mode.CRASH_BEFORE, Mode.TIMEOUT, Mode.THROTTLED, Mode.UNAVAILABLE, Mode.OUTAGE}
)


def modes_of(outgoing: Outgoing) -> list[Mode]:
    """Return the modes that this call can meet, in the order of their definition.

    A crash after a read is a crash before the next call. botocore gives all tries of a transaction
    one token, by which DynamoDB knows the repeat (TransactWriteItems, ClientRequestToken).
    """
    possible = set(_ALWAYS)
    if outgoing.is_write:
        possible.add(Mode.CRASH_AFTER)
        if is_aws(outgoing) and outgoing.name != "transact_write_items":
            possible.add(Mode.REPEATED)
        if _may_conflict(outgoing):
            possible.add(Mode.CONFLICT)
    return [mode for mode in Mode if mode in possible]


def is_aws(outgoing: Outgoing) -> bool:
    """Tell whether it is botocore that makes the call."""
    return outgoing.system not in {CLUSTER, CLOUDFLARE}


def _may_conflict(outgoing: Outgoing) -> bool:
    if outgoing.system == "s3":
        return outgoing.name == "put_object"
    if outgoing.system == CLOUDFLARE:
        # Nothing can stand in the way of a deletion.
        return not outgoing.name.startswith("DELETE")
    return outgoing.system in {CLUSTER, DYNAMODB}
