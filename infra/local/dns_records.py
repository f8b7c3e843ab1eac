"""The rules of a Cloudflare DNS zone: which records may exist, and what it says of the others.

Held to the real thing by tests/contract/cloudflare. Codes and messages are those that Cloudflare
was seen to answer (its issue trackers and API reference); where only the status is known, the
comment beside a code says so.
"""

from __future__ import annotations

import copy
import ipaddress
import re
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

Record: TypeAlias = dict[str, Any]

MAX_BATCH_CHANGES: Final = 200  # on the Free plan
MAX_COMMENT_CHARACTERS: Final = 100  # on the Free plan
MAX_PER_PAGE: Final = 5_000_000
AUTOMATIC_TTL: Final = 1

# type -> what reads its content, Cloudflare's code for content that is wrong, the IP version
_ADDRESS_TYPES: Final[Mapping[str, tuple[Callable[[str], object], int, int]]] = {
    "A": (ipaddress.IPv4Address, 9005, 4),
    "AAAA": (ipaddress.IPv6Address, 9006, 6),
}
_PROXIABLE_TYPES: Final = ("A", "AAAA", "CNAME")
_TYPES: Final = (*_PROXIABLE_TYPES, "TXT", "NS", "MX", "CAA", "SRV")
_WRITABLE: Final = ("name", "type", "content", "proxied", "ttl", "comment", "tags", "settings")
_OPTIONAL: Final[Record] = {
    "proxied": False,
    "ttl": AUTOMATIC_TTL,
    "comment": None,
    "tags": [],
    "settings": {},
}
_LABEL: Final = r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?"
_HOST_NAME: Final = re.compile(rf"(?!.{{254}})(\*\.)?({_LABEL}\.)*{_LABEL}")
_COMPARISONS: Final[Mapping[str, Callable[[str, str], bool]]] = {
    "exact": lambda value, wanted: value == wanted,
    "contains": lambda value, wanted: wanted in value,
    "startswith": lambda value, wanted: value.startswith(wanted),
    "endswith": lambda value, wanted: value.endswith(wanted),
    "present": lambda value, _: bool(value),
    "absent": lambda value, _: not value,
}


class Refused(Exception):  # noqa: N818 (it is Cloudflare's answer, not a fault of the double)
    """Cloudflare's answer to a request that it does not carry out."""

    def __init__(self, code: int, message: str, *, status: int = 400) -> None:
        """Remember Cloudflare's own code beside the HTTP status."""
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status


def _not_found() -> Refused:
    return Refused(81044, "Record does not exist.", status=404)


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


@dataclass(slots=True)
class DnsZone:
    """One zone and its records, in the order in which they were created.

    Not safe for use from several threads: the caller holds a lock around each call.
    """

    id: str
    domain: str
    created_on: str = field(default_factory=_now)
    records: dict[str, Record] = field(default_factory=dict)

    def find(self, record_id: str) -> Record:
        """Return the record. Raises Refused (81044, 404) when there is none."""
        try:
            return self.records[record_id]
        except KeyError:
            raise _not_found() from None

    def create(self, fields: Record) -> Record:
        """Add a record."""
        record = self._build(uuid.uuid4().hex, {**_OPTIONAL, **fields}, created_on=_now())
        self.records[record["id"]] = record
        return record

    def patch(self, record_id: str, fields: Record) -> Record:
        """Change the given fields of a record and keep the others."""
        old = self.find(record_id)
        return self._replace(old, {**{name: old[name] for name in _WRITABLE}, **fields})

    def put(self, record_id: str, fields: Record) -> Record:
        """Overwrite a record: fields that are not given get their defaults."""
        return self._replace(self.find(record_id), {**_OPTIONAL, **fields})

    def delete(self, record_id: str) -> Record:
        """Remove a record."""
        self.find(record_id)
        return self.records.pop(record_id)

    def batch(self, changes: Mapping[str, Sequence[Record]]) -> dict[str, list[Record] | None]:
        """Carry out every change or none, in Cloudflare's order: deletes, patches, puts, posts."""
        if (
            sum(len(changes.get(kind) or ()) for kind in ("deletes", "patches", "puts", "posts"))
            > MAX_BATCH_CHANGES
        ):
            # Only the status is known.
            raise Refused(9999, f"A batch may hold at most {MAX_BATCH_CHANGES} changes.")
        before = copy.deepcopy(self.records)
        try:
            return {
                "deletes": _each(
                    changes.get("deletes"), lambda change: self.delete(change.get("id", ""))
                ),
                "patches": _each(
                    changes.get("patches"), lambda change: self.patch(change.get("id", ""), change)
                ),
                "puts": _each(
                    changes.get("puts"), lambda change: self.put(change.get("id", ""), change)
                ),
                "posts": _each(changes.get("posts"), self.create),
            }
        except Refused:
            self.records = before
            raise

    def select(self, query: Mapping[str, str]) -> list[Record]:
        """Return the records that a list request's query asks for, in the order of their creation.

        Refuses a parameter that the double does not know: the real API ignores it, which would let
        a test pass on a filter that filters nothing.
        """
        conditions = [_condition(name, wanted) for name, wanted in query.items() if name != "match"]
        meets = any if query.get("match") == "any" and conditions else all
        return [
            record
            for record in self.records.values()
            if meets(holds(record) for holds in conditions)
        ]

    def _replace(self, old: Record, fields: Record) -> Record:
        record = self._build(old["id"], fields, created_on=old["created_on"])
        self.records[old["id"]] = record
        return record

    def _build(self, record_id: str, fields: Record, *, created_on: str) -> Record:
        """Validate the fields and return the record that they describe, without storing it."""
        record: Record = {"id": record_id, **{name: fields.get(name) for name in _WRITABLE}}
        record["name"] = _full_name(record["name"], self.domain)
        record["content"] = _checked_content(record)
        record["proxiable"] = record["type"] in _PROXIABLE_TYPES
        _check_proxied(record)
        _check_ttl(record)
        _check_comment(record)
        if record["tags"]:
            raise Refused(
                9300, f"DNS record has {len(record['tags'])} tags, exceeding the quota of 0."
            )
        self._check_conflicts(record)
        if record["proxied"]:
            record["ttl"] = AUTOMATIC_TTL
        record |= {"tags": [], "settings": record["settings"] or {}, "meta": {}}
        record |= {"created_on": created_on, "modified_on": _now()}
        if record["comment"]:
            record["comment_modified_on"] = record["modified_on"]
        return record

    def _check_conflicts(self, record: Record) -> None:
        for other in self.records.values():
            if other["id"] == record["id"] or other["name"] != record["name"]:
                continue
            types = {record["type"], other["type"]}
            if record["type"] == "CNAME" and types <= set(_PROXIABLE_TYPES):
                raise Refused(81053, "An A, AAAA, or CNAME record with that host already exists.")
            if other["type"] == "CNAME" and types <= set(_PROXIABLE_TYPES):
                raise Refused(81054, "A CNAME record with that host already exists.")
            if len(types) == 1 and other["content"] == record["content"]:
                if all(other[name] == record[name] for name in ("ttl", "proxied")):
                    raise Refused(81058, "An identical record already exists.")
                raise Refused(81057, "The record already exists.")


def _each(
    changes: Sequence[Record] | None, carry_out: Callable[[Record], Record]
) -> list[Record] | None:
    return None if changes is None else [carry_out(change) for change in changes]


def _full_name(name: object, domain: str) -> str:
    """Return the record's complete name; one outside the zone is taken as relative to it."""
    if not isinstance(name, str) or not name:
        raise Refused(9000, "DNS name is invalid.")
    lowered = name.lower().removesuffix(".")
    if lowered == "@":
        return domain
    full = lowered if lowered == domain or lowered.endswith(f".{domain}") else f"{lowered}.{domain}"
    if not _HOST_NAME.fullmatch(full):
        raise Refused(9000, "DNS name is invalid.")
    return full


def _checked_content(record: Record) -> str:
    kind, content = record["type"], record["content"]
    if kind not in _TYPES:
        raise Refused(9020, "Invalid DNS record type.")
    if not isinstance(content, str) or not content:
        # Only the status is known.
        raise Refused(9999, "DNS record content is required.")
    if kind in _ADDRESS_TYPES:
        return _address(content, kind)
    if kind == "CNAME":
        return _alias(content, record["name"])
    return content


def _address(content: str, kind: str) -> str:
    parse, code, version = _ADDRESS_TYPES[kind]
    try:
        return str(parse(content))
    except ValueError:
        message = f"Content for {kind} record must be a valid IPv{version} address."
        raise Refused(code, message) from None


def _alias(content: str, name: str) -> str:
    target = content.lower().removesuffix(".")
    if not _HOST_NAME.fullmatch(target):
        raise Refused(9007, "Content for CNAME record is invalid.")
    if target == name:
        raise Refused(9039, "CNAME content cannot reference itself.")
    return target


def _check_proxied(record: Record) -> None:
    if not isinstance(record["proxied"], bool):
        raise Refused(9003, "Invalid 'proxied' value, must be a boolean.")
    if record["proxied"] and not record["proxiable"]:
        raise Refused(9004, "This record type cannot be proxied.")


def _check_ttl(record: Record) -> None:
    ttl = record["ttl"]
    valid = isinstance(ttl, int | float) and (ttl == AUTOMATIC_TTL or 60 <= ttl <= 86_400)  # noqa: PLR2004
    if not valid:
        raise Refused(
            9021, "Invalid TTL. Must be between 60 and 86400 seconds, or 1 for Automatic."
        )


def _check_comment(record: Record) -> None:
    comment = record["comment"]
    if comment is None:
        return
    if not isinstance(comment, str) or any(ord(character) < ord(" ") for character in comment):
        # Only the status is known.
        raise Refused(9999, "DNS record comment is invalid.")
    if len(comment) > MAX_COMMENT_CHARACTERS:
        raise Refused(
            9313,
            "DNS record comment exceeds the maximum length of"
            f" {MAX_COMMENT_CHARACTERS} characters.",
        )


def _condition(parameter: str, wanted: str) -> Callable[[Record], bool]:
    """Return the test that a parameter such as `comment.contains` puts to each record."""
    if parameter == "type":
        return lambda record: bool(record["type"] == wanted)
    if parameter == "proxied":
        return lambda record: bool(record["proxied"] == (wanted == "true"))
    attribute, _, comparison = parameter.partition(".")
    compare = _COMPARISONS.get(comparison or "exact")
    if attribute not in {"name", "content", "comment"} or compare is None:
        raise Refused(9999, f"This double does not know the query parameter {parameter!r}.")
    return lambda record: compare((record[attribute] or "").lower(), wanted.lower())
