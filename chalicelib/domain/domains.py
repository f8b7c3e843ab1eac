"""The domains that friends' services are exposed on, as the operator writes them in DOMAINS."""

import ipaddress
import json
import re
from collections.abc import Sequence
from typing import Any, Final

from chalicelib.domain.dns import Domain, is_host_name

# A label of ours, a dot and the domain are a host name of at most 253 characters.
_LONGEST_NAME: Final = 189
_ZONE_ID: Final = re.compile(r"[0-9a-f]{32}")
_REQUIRED: Final = ("name", "zone_id", "target")
_KNOWN: Final = (*_REQUIRED, "proxied")
# A tunnel has no address of its own: its name resolves only behind Cloudflare's proxy.
# Source: developers.cloudflare.com, Cloudflare Tunnel, "DNS records".
_TUNNEL_SUFFIX: Final = ".cfargotunnel.com"


def parse_domains(text: str) -> tuple[Domain, ...]:
    """Return the domains that a JSON array describes; the first is the default.

    Raises ValueError with a sentence that starts with DOMAINS.
    """
    if not text.strip():
        return ()
    domains = tuple(_parse(entry, f"DOMAINS[{index}]") for index, entry in enumerate(_load(text)))
    names = [each.name for each in domains]
    if len(set(names)) != len(names):
        msg = "DOMAINS must name each domain once."
        raise ValueError(msg)
    return domains


def _load(text: str) -> list[Any]:
    try:
        entries = json.loads(text, object_pairs_hook=_without_duplicates)
    except (ValueError, RecursionError):
        entries = None
    if not isinstance(entries, list):
        keys = ", ".join(_REQUIRED)
        msg = f"DOMAINS must be a JSON array of objects with {keys} and, if false, proxied."
        raise ValueError(msg)  # noqa: TRY004 - the caller looks at one kind of error
    return entries


def _without_duplicates(pairs: Sequence[tuple[str, object]]) -> dict[str, object]:
    if len(dict(pairs)) != len(pairs):
        raise ValueError
    return dict(pairs)


def _parse(entry: object, at: str) -> Domain:
    if not isinstance(entry, dict):
        entry = {}
    _require(entry.keys() >= set(_REQUIRED), f"{at} must have {', '.join(_REQUIRED)}.")
    _require(entry.keys() <= set(_KNOWN), f"{at} may have {', '.join(_KNOWN)} and nothing else.")
    name, zone_id, target = (entry[key] for key in _REQUIRED)
    proxied = entry.get("proxied", True)
    is_name = isinstance(name, str) and len(name) <= _LONGEST_NAME and is_host_name(name)
    rule = f"a domain in lower case, at most {_LONGEST_NAME} characters"
    _require(is_name, f"{at}.name must be {rule}, such as example.net.")
    is_zone_id = isinstance(zone_id, str) and _ZONE_ID.fullmatch(zone_id)
    _require(is_zone_id, f"{at}.zone_id must be 32 hexadecimal digits: Cloudflare's zone page.")
    canonical = _canonical_target(target)
    _require(canonical, f"{at}.target must be a host name in lower case, or an IP address.")
    _require(isinstance(proxied, bool), f"{at}.proxied must be true or false.")
    is_reached = proxied or not str(canonical).endswith(_TUNNEL_SUFFIX)
    _require(is_reached, f"{at}.proxied must be true: a tunnel is reached through the proxy alone.")
    return Domain(name=name, zone_id=zone_id, target=str(canonical), proxied=proxied)


def _canonical_target(target: object) -> str | None:
    """Return the target in the spelling that a zone keeps, or None."""
    if not isinstance(target, str):
        return None
    if is_host_name(target):
        return target
    try:
        # Not a scoped address such as fe80::1%eth0: a record cannot hold one.
        return None if "%" in target else str(ipaddress.ip_address(target))
    except ValueError:
        return None


def _require(holds: object, message: str) -> None:
    if not holds:
        raise ValueError(message)
