"""The rules of what a friend puts on the web: its name, its host name, and the Service behind it.

A host name is <name>-<friend's id>.<domain>: one label below the domain, so that one certificate
covers all. Two friends can spell the same one ("a-b" of c, "a" of b-c): a claim decides whose it
is.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from chalicelib.domain.admission.names import SERVICE_LABEL, is_label_value, is_service_label
from chalicelib.domain.dns import LONGEST_HOST_NAME, Domain, is_host_name
from chalicelib.domain.errors import Conflict, Fault, InvalidInput, NotFound
from chalicelib.domain.fields import FRIEND_ID, invalid_fields
from chalicelib.domain.model import Exposure, JsonObject
from chalicelib.domain.reserved import is_reserved
from chalicelib.domain.rules import ANY_TEXT, Field, Rule, choice, field_faults, pattern

DEFAULT_PORT: Final = 80
_LARGEST_PORT: Final = 65535
_NAME: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,18}[a-z0-9])?")
# Hyphens in the third and fourth place mark encoded names, such as xn-- (RFC 5890, 2.3.1).
_HOST_LABEL: Final = re.compile(r"(?!..--)[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
# Labels that programs look up by themselves. Every label of ours has a hyphen, so wpad,
# autodiscover, www and the like cannot be spelled; this one can ("mta" of sts), and whoever serves
# it sets the mail policy of the domain (RFC 8461, section 3.3).
_RESERVED_LABELS: Final = frozenset({"mta-sts"})


@dataclass(frozen=True)
class ExposeRequest:
    """A valid request to put a Service on the web."""

    name: str
    service: str
    port: int
    domain: Domain


def parse_expose(body: JsonObject, domains: Sequence[Domain], friend_id: str) -> ExposeRequest:
    """Return what the body asks for; the first domain is the default.

    Raises InvalidInput with every fault, and with code no_domain_configured where none is.
    """
    if not domains:
        msg = "No domain is configured, so nothing can be exposed. Ask an admin to set DOMAINS."
        raise InvalidInput(msg, code="no_domain_configured")
    by_name = {each.name: each for each in domains}
    values = {"port": DEFAULT_PORT, "domain": domains[0].name, **body}
    faults = field_faults(body, EXPOSE)
    broken = {fault.path for fault in faults}
    for name, fault_of in (
        ("name", partial(_reserved_fault, friend_id)),
        ("domain", choice(tuple(by_name)).fault_of),
    ):
        if f"/{name}" not in broken and (fault := fault_of(values[name])):
            faults.append(Fault(f"/{name}", f"{name} {fault}"))
    if not faults:
        faults += _length_faults(hostname_of(values["name"], friend_id, values["domain"]))
    if faults:
        raise invalid_fields(faults)
    domain = by_name[values["domain"]]
    return ExposeRequest(values["name"], values["service"], values["port"], domain)


def exposure_elsewhere() -> Conflict:
    """Return the answer for an exposure that has another host name."""
    msg = "This exposure is on another domain already. Delete it first, or choose another name."
    return Conflict(msg, code="exposure_elsewhere")


def exposure_not_found() -> NotFound:
    """Return the answer for an exposure that is not there."""
    msg = "There is no exposure with this name. GET /api/friends/<id>/namespace/expose lists them."
    return NotFound(msg, code="exposure_not_found")


def exposure_name_fault(value: str) -> str | None:
    """Return what is wrong with an exposure's name, or None.

    A reserved name is well-formed: what was exposed before it was reserved can be taken down.
    """
    if not _NAME.fullmatch(value):
        return (
            "must be 1 to 20 lower-case letters, digits and hyphens, "
            "and start and end with a letter or digit."
        )
    if not _HOST_LABEL.fullmatch(value):
        return "must not have hyphens in the third and fourth place: DNS has a use for those."
    return None


def hostname_of(name: str, friend_id: str, domain_name: str) -> str:
    """Return the host name of a friend's exposure on a domain."""
    return f"{name}-{friend_id}.{domain_name}"


def require_valid(exposure: Exposure) -> None:
    """Raise ValueError for a row that no request could have made.

    Whoever can write to the table must not be able to write a rule or a record of their choice.
    """
    name, friend_id, domain = exposure.name, exposure.friend_id, exposure.domain
    is_valid = (
        exposure_name_fault(name) is None
        and FRIEND_ID.fullmatch(friend_id)
        and is_label_value(exposure.uid)
        and is_host_name(domain)
        and exposure.hostname == hostname_of(name, friend_id, domain)
        and is_host_name(exposure.hostname)
        and _service_fault(exposure.service) is None
        and _port_fault(exposure.port) is None
    )
    if not is_valid:
        msg = "The recorded exposure breaks the rules of the API, so nothing is made from it."
        raise ValueError(msg)


def _reserved_fault(friend_id: str, value: str) -> str | None:
    label = f"{value}-{friend_id}"
    # The label, not the name alone: "friends" of api-kc spells friends-api-kc.
    if is_reserved(label) or label in _RESERVED_LABELS:
        return "is reserved; choose another name."
    return None if _HOST_LABEL.fullmatch(label) else "does not make a DNS label with this id."


def _service_fault(value: object) -> str | None:
    if isinstance(value, str) and is_service_label(value):
        return None
    return (
        "must be the name of a Service in the friend's namespace: 1 to 63 lower-case letters, "
        "digits and hyphens, starting with a letter and ending with a letter or digit."
    )


def _port_fault(value: object) -> str | None:
    # Not isinstance: True is an int, too.
    if type(value) is int and 1 <= value <= _LARGEST_PORT:
        return None
    return f"must be a whole number from 1 to {_LARGEST_PORT}."


def _length_faults(hostname: str) -> list[Fault]:
    if len(hostname) <= LONGEST_HOST_NAME:
        return []
    return [Fault("/name", f"name makes a host name of over {LONGEST_HOST_NAME} characters.")]


EXPOSURE_NAME: Final = Rule(exposure_name_fault, pattern(_NAME, **{"not": {"pattern": "^..--"}}))
EXPOSE: Final = (
    Field(
        "name",
        EXPOSURE_NAME,
        "What the host name starts with: <name>-<friend's id>.<domain>.",
        required=True,
    ),
    Field(
        "service",
        Rule(_service_fault, pattern(SERVICE_LABEL, maxLength=63)),
        "The Service in the friend's namespace that answers.",
        required=True,
    ),
    Field(
        "port",
        Rule(
            _port_fault,
            {"type": "integer", "minimum": 1, "maximum": _LARGEST_PORT, "default": DEFAULT_PORT},
        ),
        "The Service's port.",
        nullable=False,
    ),
    Field(
        "domain",
        ANY_TEXT,
        "One of GET /api/domains; the first if left out.",
        nullable=False,
    ),
)
