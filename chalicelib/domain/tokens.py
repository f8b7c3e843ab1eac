"""Bearer tokens: how they look, how they are kept, and how one is recognised.

Only digests are kept, in one JSON document:

    {"tokens": [{"id": "1f2e3d4c", "sha256": "<64 hex>", "role": "agent", "agent_id": "mochi",
                 "created_at": "2026-11-24T09:00:00Z", "expires_at": null}]}
"""

import hashlib
import hmac
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from chalicelib.domain.errors import UpstreamFailed
from chalicelib.domain.fields import AGENT_ID
from chalicelib.domain.model import JsonObject, Principal, Role

PRESENTABLE: Final = re.compile(r"[A-Za-z0-9._~+/=-]{16,512}")
"""What a token may look like on the wire; nothing else is even digested."""

_DIGEST: Final = re.compile(r"[0-9a-f]{64}")
_TOKEN_ID: Final = re.compile(r"[0-9a-f]{8,64}")
_PLACEHOLDERS: Final = ("", "changeme", "change-me", "placeholder", "secret", "token", "admin")
_PLACEHOLDER_DIGESTS: Final = frozenset(
    hashlib.sha256(each.encode()).hexdigest() for each in _PLACEHOLDERS
)


@dataclass(frozen=True)
class TokenRecord:
    """One token that is accepted until expires_at (UTC), or until it is revoked."""

    digest: bytes
    principal: Principal
    expires_at: datetime | None = None


def digest_of(token: str) -> bytes:
    """Return the digest under which a token is kept."""
    return hashlib.sha256(token.encode()).digest()


def parse_token_records(text: str) -> tuple[TokenRecord, ...]:
    """Return the records of the tokens document.

    Raises UpstreamFailed (code tokens_misconfigured) for anything but well-formed records: a
    document that is half understood must not decide who gets in. The message quotes nothing.
    """
    try:
        return tuple(map(_parse_record, _parse_list(text)))
    except (ValueError, KeyError, TypeError, AttributeError):
        msg = "The API's tokens are misconfigured. Ask an admin to mint them anew."
        raise UpstreamFailed(msg, code="tokens_misconfigured") from None


def find_token(records: Sequence[TokenRecord], token: str, now: datetime) -> Principal | None:
    """Return whose token this is, or None when nobody's or expired.

    Digests are compared as bytes, in constant time, against every record, so that timing tells
    nothing about how near a guess was, nor about which record matched.
    """
    presented = digest_of(token)
    matches = [each for each in records if hmac.compare_digest(each.digest, presented)]
    valid = [each for each in matches if each.expires_at is None or each.expires_at > now]
    return valid[0].principal if valid else None


def _parse_list(text: str) -> list[JsonObject]:
    records = json.loads(text)["tokens"]
    if not isinstance(records, list):
        raise TypeError
    return records


def _parse_record(record: JsonObject) -> TokenRecord:
    digest, agent_id = record["sha256"], record.get("agent_id")
    expires_at = record.get("expires_at")
    role = Role(record["role"])
    if not _DIGEST.fullmatch(digest) or digest in _PLACEHOLDER_DIGESTS:
        raise ValueError(digest)
    if (role is Role.AGENT) != (agent_id is not None):
        raise ValueError(role)
    if agent_id is not None and not AGENT_ID.fullmatch(agent_id):
        raise ValueError(agent_id)
    expiry = None if expires_at is None else datetime.fromisoformat(expires_at)
    if expiry is not None and expiry.tzinfo is None:
        raise ValueError(expires_at)
    if not _TOKEN_ID.fullmatch(record["id"]):
        raise ValueError(record["id"])
    principal = Principal(role, record["id"], agent_id)
    return TokenRecord(bytes.fromhex(digest), principal, expiry)
