"""The rules of every field a client may send about a friend.

Each parse collects every fault before it raises, so that a client mends its input in one go.
"""

import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Final

from chalicelib.domain.errors import Conflict, Fault, InvalidInput
from chalicelib.domain.model import Contact, FriendshipStatus, Identity, JsonObject, Platform

FRIEND_ID: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,38}[a-z0-9])?")
AGENT_ID: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_RESERVED_IDS: Final = frozenset({"system", "default", "api", "admin", "www"})
_RESERVED_PREFIXES: Final = ("kube-", "friend-")

_DISCORD_ID: Final = re.compile(r"[1-9][0-9]{16,19}")
_PHONE: Final = re.compile(r"\+[1-9][0-9]{6,14}")
# One digit at a time, each with its punctuation, so that no text makes the match slow.
_PHONE_SPELLING: Final = re.compile(r"\+[1-9](?:[ .-]?\(?[0-9]\)?)*")
_PHONE_PUNCTUATION: Final = str.maketrans("", "", " -.()")
_UUID: Final = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_JID: Final = re.compile(r"([1-9][0-9]{6,14})@(?:s\.whatsapp\.net|c\.us)")
_LONGEST_ID: Final = 64
_LONGEST_NAME: Final = 100
_JOINERS: Final = "\u200c\u200d"
# Letters and symbols by category that show nothing: Hangul fillers and the empty Braille cell.
_BLANK_LETTERS: Final = "\u115f\u1160\u2800\u3164\uffa0" + _JOINERS
# Unicode, section 23.7: never a character, whatever the version.
_NONCHARACTERS: Final = frozenset(map(chr, range(0xFDD0, 0xFDF0))) | {
    chr(plane * 0x10000 + last) for plane in range(17) for last in (0xFFFE, 0xFFFF)
}
_UNPRINTABLE: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Zl", "Zp"})

_CONTACT_FIELDS: Final = (
    "display_name",
    "discord_id",
    "signal",
    "whatsapp",
    "preferred_channel",
)


@dataclass(frozen=True)
class NewFriend:
    """A valid request to register a friend."""

    id: str
    contact: Contact
    cluster: str


def parse_new_friend(body: JsonObject, cluster_names: Sequence[str]) -> NewFriend:
    """Return the friend that the body asks for. Raises InvalidInput with every fault."""
    faults = unknown_fields(body, ("id", *_CONTACT_FIELDS, "cluster"))
    faults += _check(body, "id", friend_id_fault, required=True)
    faults += _check(body, "display_name", _display_name_fault, required=True)
    faults += _check(body, "cluster", partial(_choice_fault, cluster_names))
    faults += _contact_faults(body)
    if faults:
        raise invalid_fields(faults)
    contact = Contact(**_contact_values(body))
    _require_reachable(contact)
    return NewFriend(body["id"], contact, body.get("cluster") or cluster_names[0])


def parse_contact_changes(body: JsonObject) -> JsonObject:
    """Return the contact fields that the body sets; None clears one.

    Raises InvalidInput with every fault; the body must name at least one field.
    """
    faults = unknown_fields(body, _CONTACT_FIELDS)
    if not body:
        faults.append(Fault("", f"Name at least one of: {', '.join(_CONTACT_FIELDS)}."))
    if "display_name" in body and body["display_name"] is None:
        faults.append(Fault("/display_name", "display_name cannot be cleared."))
    faults += _check(body, "display_name", _display_name_fault)
    faults += _contact_faults(body)
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
    faults = unknown_fields(body, ("status",))
    faults += _check(body, "status", partial(_choice_fault, tuple(FriendshipStatus)), required=True)
    if faults:
        raise invalid_fields(faults)
    return FriendshipStatus(body["status"])


def friend_id_fault(value: str) -> str | None:
    """Return what is wrong with a friend's id, or None."""
    if not FRIEND_ID.fullmatch(value):
        return (
            "must be 1 to 40 lower-case letters, digits and hyphens, "
            "and start and end with a letter or digit."
        )
    if value in _RESERVED_IDS or value.startswith(_RESERVED_PREFIXES):
        return "is reserved; choose another id."
    return None


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

    A phone number's punctuation, a UUID's case and a JID's server do not make another person.
    Raises InvalidInput, naming the query parameter, when the value is no id on the platform.
    """
    fault = _platform_fault(platform)(value)
    if fault:
        hint = " In a URL, write + as %2B." if value.startswith(" ") else ""
        raise invalid_fields([Fault(f"?{platform.field}", f"{platform.field} {fault}{hint}")])
    if platform is Platform.DISCORD:
        return Identity(platform, value)
    if jid := _JID.fullmatch(value):
        return Identity(platform, f"+{jid[1]}")
    if _UUID.fullmatch(value):
        return Identity(platform, value.lower())
    return Identity(platform, value.translate(_PHONE_PUNCTUATION))


def contact_fields(contact: Contact) -> JsonObject:
    """Return the contact as the API and profile.json show it; absent values are None."""
    return asdict(contact)


def names_taken(names: Sequence[str]) -> Conflict:
    """Return the answer to a request for an id or platform ids that are somebody else's."""
    faults = tuple(Fault(f"/{name}", f"This {name} belongs to another friend.") for name in names)
    code = "id_taken" if "id" in names else "platform_id_taken"
    message = f"Taken by another friend: {', '.join(names)}. Send another, or change that friend."
    return Conflict(message, code=code, faults=faults)


def _contact_values(body: JsonObject) -> JsonObject:
    values: JsonObject = {name: body[name] for name in _CONTACT_FIELDS if name in body}
    if values.get("preferred_channel") is not None:
        values["preferred_channel"] = Platform(values["preferred_channel"])
    return values


def _contact_faults(body: JsonObject) -> list[Fault]:
    faults = _check(body, "preferred_channel", partial(_choice_fault, tuple(Platform)))
    for platform in Platform:
        faults += _check(body, platform.field, _platform_fault(platform))
    return faults


def _check(
    body: JsonObject,
    name: str,
    fault_of: Callable[[str], str | None],
    *,
    required: bool = False,
) -> list[Fault]:
    value = body.get(name)
    if value is None:
        return [Fault(f"/{name}", f"{name} is required.")] if required else []
    if not isinstance(value, str):
        return [Fault(f"/{name}", f"{name} must be a string.")]
    fault = fault_of(value)
    return [Fault(f"/{name}", f"{name} {fault}")] if fault else []


def unknown_fields(body: JsonObject, known: tuple[str, ...]) -> list[Fault]:
    """Return a fault for each field of the body that is not known here."""
    listed = ", ".join(known)
    return [
        Fault(f"/{_pointer(name)}", f"{name[:64]!r} cannot be set here. Known fields: {listed}.")
        for name in body
        if name not in known
    ]


def _pointer(name: str) -> str:
    return name[:_LONGEST_ID].replace("~", "~0").replace("/", "~1")


def _display_name_fault(value: str) -> str | None:
    if not 1 <= len(value) <= _LONGEST_NAME or not all(map(_printable, value)):
        return f"must be 1 to {_LONGEST_NAME} printable characters."
    if value != value.strip() or not any(map(_visible, value)):
        return "must not start or end with a space, nor be blank."
    return None


def _printable(char: str) -> bool:
    # Joiners are invisible, but names in Persian and family emoji are spelled with them.
    if char in _JOINERS:
        return True
    return unicodedata.category(char) not in _UNPRINTABLE and char not in _NONCHARACTERS


def _visible(char: str) -> bool:
    return char not in _BLANK_LETTERS and unicodedata.category(char)[0] in "CLNPS"


def _choice_fault(choices: Sequence[str], value: str) -> str | None:
    return None if value in choices else f"must be one of: {', '.join(choices)}."


def _platform_fault(platform: Platform) -> Callable[[str], str | None]:
    return {
        Platform.DISCORD: _discord_fault,
        Platform.SIGNAL: _signal_fault,
        Platform.WHATSAPP: _whatsapp_fault,
    }[platform]


def _discord_fault(value: str) -> str | None:
    return None if _DISCORD_ID.fullmatch(value) else "must be 17 to 20 digits."


def _signal_fault(value: str) -> str | None:
    if _is_phone(value) or _UUID.fullmatch(value):
        return None
    return "must be a phone number such as +1 555 010 0199, or a UUID."


def _whatsapp_fault(value: str) -> str | None:
    if _is_phone(value) or _JID.fullmatch(value):
        return None
    return "must be a phone number such as +1 555 010 0199, or a JID such as N@s.whatsapp.net."


def _is_phone(value: str) -> bool:
    if len(value) > _LONGEST_ID or not _PHONE_SPELLING.fullmatch(value):
        return False
    return _PHONE.fullmatch(value.translate(_PHONE_PUNCTUATION)) is not None


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
