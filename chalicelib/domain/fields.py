"""The rules of every field a client may send about a friend.

Each parse collects every fault before it raises, so that a client mends its input in one go.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from chalicelib.domain.display_names import DISPLAY_NAME
from chalicelib.domain.errors import Conflict, Fault, InvalidInput
from chalicelib.domain.model import Contact, FriendshipStatus, Identity, JsonObject, Platform
from chalicelib.domain.reserved import RESERVED_START, is_reserved
from chalicelib.domain.rules import ANY_TEXT, Field, Rule, choice, field_faults, pattern

if TYPE_CHECKING:  # A cold start does not load what only mypy and the description read.
    from chalicelib.domain import shown

FRIEND_ID: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,38}[a-z0-9])?")
AGENT_ID: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_RESERVED_IDS: Final = frozenset({"system", "default", "api", "admin", "www"})
_RESERVED: Final = re.compile(r"^(?:kube|friend)-")

_DISCORD_ID: Final = re.compile(r"[1-9][0-9]{16,19}")
# One digit at a time, each with its punctuation, so that no text makes the match slow.
_PHONE: Final = re.compile(r"\+[1-9](?:[ .-]?\(?[0-9]\)?){6,14}")
_PHONE_PUNCTUATION: Final = str.maketrans("", "", " -.()")
_UUID: Final = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_JID: Final = re.compile(r"([1-9][0-9]{6,14})@(?:s\.whatsapp\.net|c\.us)")
# WhatsApp's name for an account whose phone number is not told: digits that are no phone number.
_LID: Final = re.compile(r"[1-9][0-9]{5,19}@lid")
# A nickname, and a number without needless zeros behind it (libsignal, rust/usernames).
_USERNAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{2,31}\.(?:0[1-9]|[1-9][0-9]{1,18})")
_SIGNAL: Final = re.compile(f"{_PHONE.pattern}|{_UUID.pattern}|{_USERNAME.pattern}")
_WHATSAPP: Final = re.compile(f"{_PHONE.pattern}|{_JID.pattern}|{_LID.pattern}")


@dataclass(frozen=True)
class NewFriend:
    """A valid request to register a friend."""

    id: str
    contact: Contact
    cluster: str


def parse_new_friend(body: JsonObject, cluster_names: Sequence[str]) -> NewFriend:
    """Return the friend that the body asks for. Raises InvalidInput with every fault."""
    faults = field_faults(body, NEW_FRIEND)
    cluster = body.get("cluster")
    if isinstance(cluster, str) and (fault := choice(cluster_names).fault_of(cluster)):
        faults.append(Fault("/cluster", f"cluster {fault}"))
    if faults:
        raise invalid_fields(faults)
    contact = Contact(**_contact_values(body))
    _require_reachable(contact)
    return NewFriend(body["id"], contact, cluster or cluster_names[0])


def parse_contact_changes(body: JsonObject) -> JsonObject:
    """Return the contact fields that the body sets; null and an empty text clear one, as None.

    Raises InvalidInput with every fault; the body must name at least one field.
    """
    faults = field_faults(body, CONTACT_CHANGES)
    if not body:
        names = ", ".join(each.name for each in CONTACT_CHANGES)
        faults.append(Fault("", f"Name at least one of: {names}."))
    if faults:
        raise invalid_fields(faults)
    return _contact_values(body)


def merge_contact(contact: Contact, changes: JsonObject) -> Contact:
    """Return the contact with parsed changes merged in.

    Raises InvalidInput when the friend would prefer a channel on which they have no id.
    """
    merged = replace(contact, **changes)
    _require_reachable(merged)
    return merged


def parse_friendship_status(body: JsonObject) -> FriendshipStatus:
    """Return the status that the body names. Raises InvalidInput with every fault."""
    if faults := field_faults(body, FRIENDSHIP):
        raise invalid_fields(faults)
    return FriendshipStatus(body["status"])


def friend_id_fault(value: str) -> str | None:
    """Return what is wrong with a friend's id, or None."""
    if not FRIEND_ID.fullmatch(value):
        return (
            "must be 1 to 40 lower-case letters, digits and hyphens, "
            "and start and end with a letter or digit."
        )
    if value in _RESERVED_IDS or _RESERVED.match(value):
        return "is reserved; choose another id."
    return None


def new_friend_id_fault(value: str) -> str | None:
    """Return what is wrong with the id of a friend who is not registered yet, or None.

    An id that was registered before it was reserved stays in use.
    """
    fault = friend_id_fault(value)
    return "is reserved; choose another id." if fault is None and is_reserved(value) else fault


def agent_id_fault(value: str) -> str | None:
    """Return what is wrong with an agent's id, or None."""
    if AGENT_ID.fullmatch(value):
        return None
    return (
        "must be 1 to 63 lower-case letters, digits and hyphens, "
        "and start and end with a letter or digit."
    )


def identities_of(contact: Contact) -> tuple[Identity, ...]:
    """Return the canonical identities that this contact claims."""
    return tuple(
        parse_identity(platform, value)
        for platform in Platform
        if (value := getattr(contact, platform.field)) is not None
    )


def parse_identity(platform: Platform, value: str) -> Identity:
    """Return the canonical identity behind a platform id as a client writes it.

    A phone number's punctuation, a UUID's or username's case and a phone's JID do not make another
    person. A JID of @lid is a person of its own: only WhatsApp knows its phone number.
    Raises InvalidInput when the value is no id on the platform.
    """
    if fault := PLATFORM_IDS[platform].fault_of(value):
        raise invalid_fields([Fault(f"/{platform.field}", f"{platform.field} {fault}")])
    if platform is Platform.DISCORD:
        return Identity(platform, value)
    if jid := _JID.fullmatch(value):
        return Identity(platform, f"+{jid[1]}")
    if _LID.fullmatch(value):
        return Identity(platform, value)
    if _UUID.fullmatch(value) or _USERNAME.fullmatch(value):
        return Identity(platform, value.lower())
    return Identity(platform, value.translate(_PHONE_PUNCTUATION))


def contact_fields(contact: Contact) -> "shown.Contact":
    """Return the contact as the API and profile.json show it; absent values are None."""
    return {
        "display_name": contact.display_name,
        "discord_id": contact.discord_id,
        "signal": contact.signal,
        "whatsapp": contact.whatsapp,
        "preferred_channel": contact.preferred_channel,
    }


def names_taken(names: Sequence[str]) -> Conflict:
    """Return the answer to a request for an id or platform ids that are somebody else's."""
    faults = tuple(Fault(f"/{name}", f"This {name} belongs to another friend.") for name in names)
    code = "id_taken" if "id" in names else "platform_id_taken"
    message = f"Taken by another friend: {', '.join(names)}. Send another, or change that friend."
    return Conflict(message, code=code, faults=faults)


def _contact_values(body: JsonObject) -> JsonObject:
    names = (each.name for each in CONTACT_CHANGES)
    # An empty text clears a field, where that is let through.
    values: JsonObject = {name: body[name] or None for name in names if name in body}
    if values.get("preferred_channel") is not None:
        values["preferred_channel"] = Platform(values["preferred_channel"])
    return values


def _discord_fault(value: str) -> str | None:
    return None if _DISCORD_ID.fullmatch(value) else "must be 17 to 20 digits."


def _signal_fault(value: str) -> str | None:
    if _SIGNAL.fullmatch(value):
        return None
    return "must be a phone number such as +1 555 010 0199, a UUID, or a username such as name.01."


def _whatsapp_fault(value: str) -> str | None:
    if _WHATSAPP.fullmatch(value):
        return None
    return (
        "must be a phone number such as +1 555 010 0199, or a JID such as N@s.whatsapp.net or "
        "N@lid."
    )


def _require_reachable(contact: Contact) -> None:
    channel = contact.preferred_channel
    if channel is not None and getattr(contact, channel.field) is None:
        message = (
            f"The friend would prefer {channel} but have no {channel.field}: "
            "send an id there, or another preferred_channel (null for none)."
        )
        raise invalid_fields([Fault("/preferred_channel", message)])


def invalid_fields(faults: list[Fault]) -> InvalidInput:
    """Return the error that tells all of the faults, and the first in its sentence."""
    more = f" (And {len(faults) - 1} more: see details.)" if len(faults) > 1 else ""
    return InvalidInput(f"{faults[0].message}{more}", faults=tuple(faults))


def _id_rule(fault_of: Callable[[str], str | None], *more: JsonObject) -> Rule:
    reserved = [{"enum": sorted(_RESERVED_IDS)}, {"pattern": _RESERVED.pattern}, *more]
    return Rule(fault_of, pattern(FRIEND_ID, maxLength=40, **{"not": {"anyOf": reserved}}))


FRIEND_ID_RULE: Final = _id_rule(friend_id_fault)
_NEW_ID: Final = _id_rule(new_friend_id_fault, {"pattern": RESERVED_START.pattern})
AGENT_ID_RULE: Final = Rule(agent_id_fault, pattern(AGENT_ID, maxLength=63))
PLATFORM_IDS: Final = {
    Platform.DISCORD: Rule(_discord_fault, pattern(_DISCORD_ID)),
    Platform.SIGNAL: Rule(_signal_fault, pattern(_SIGNAL)),
    Platform.WHATSAPP: Rule(_whatsapp_fault, pattern(_WHATSAPP)),
}

_DISPLAY_NAME_MEANS: Final = "How the friend is called, as they write it."
_REACHES: Final = (
    Field("discord_id", PLATFORM_IDS[Platform.DISCORD], "The friend's user id on Discord."),
    Field(
        "signal",
        PLATFORM_IDS[Platform.SIGNAL],
        "A phone number (E.164, punctuated or not), a UUID, or a username.",
    ),
    Field("whatsapp", PLATFORM_IDS[Platform.WHATSAPP], "A phone number, or a JID."),
    Field(
        "preferred_channel",
        choice(tuple(Platform)),
        "Where to reach the friend; they must have an id there.",
    ),
)
NEW_FRIEND: Final = (
    Field("id", _NEW_ID, "The friend's id, for good. It names the namespace.", required=True),
    Field("display_name", DISPLAY_NAME, _DISPLAY_NAME_MEANS, required=True),
    *_REACHES,
    Field("cluster", ANY_TEXT, "One of the API's clusters; the first if left out."),
)
CONTACT_CHANGES: Final = (
    Field("display_name", DISPLAY_NAME, _DISPLAY_NAME_MEANS, nullable=False),
    *(replace(each, is_clearable=True) for each in _REACHES),
)
FRIENDSHIP: Final = (
    Field(
        "status",
        choice(tuple(FriendshipStatus)),
        "blocked shuts the agent out; active is what REQUIRE_RELATIONSHIP asks for.",
        required=True,
    ),
)
