"""Exposures, domains and DNS records, complete but for what a test sets."""

from typing import Any

from chalicelib.domain.dns import Domain, Record, RecordSpec, owner_of
from chalicelib.domain.model import Exposure
from tests.factories import create_friend

HOST = "my-app-alice.friends.example"
TARGET = "0a1b2c3d.cfargotunnel.com"
OWNER = owner_of(create_friend().uid, "my-app")


def create_domain(name: str = "friends.example", **fields: Any) -> Domain:
    """Return a domain whose names lead into a tunnel."""
    defaults = {"zone_id": "0123456789abcdef" * 2, "target": TARGET, "proxied": True}
    return Domain(name, **{**defaults, **fields})


def create_exposure(**fields: Any) -> Exposure:
    """Return alice's my-app, as recorded; its host name is HOST."""
    defaults: dict[str, Any] = {
        "name": "my-app",
        "friend_id": "alice",
        "uid": create_friend().uid,
        "hostname": HOST,
        "service": "web",
        "port": 80,
        "domain": "friends.example",
        "created_at": "2026-11-24T09:00:00.000000Z",
    }
    return Exposure(**{**defaults, **fields})


def create_spec(**fields: Any) -> RecordSpec:
    """Return what the record of create_exposure on create_domain should say."""
    defaults = {"name": HOST, "type": "CNAME", "content": TARGET, "proxied": True, "comment": OWNER}
    return RecordSpec(**{**defaults, **fields})


def create_record(record_id: str = "r1", **fields: Any) -> Record:
    """Return a record with an id, as a zone holds it."""
    return Record(record_id, create_spec(**fields))
