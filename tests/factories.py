"""What tests are about: friends, tokens, kubeconfigs, complete but for what a test sets."""

import base64
import json
from typing import Any

from chalicelib.domain.dns import RecordSpec, owner_of
from chalicelib.domain.model import Contact, Friend, Phase
from chalicelib.domain.namespace import ClusterLayout
from chalicelib.domain.tokens import digest_of

ADMIN_TOKEN = "fapi_admin-token-0123456789"
AGENT_TOKEN = "fapi_mochi-token-0123456789"
OTHER_AGENT_TOKEN = "fapi_tofu-token-0123456789"
EXPIRED_TOKEN = "fapi_expired-token-0123456789"
TOKENS = {
    "the admin": ADMIN_TOKEN,
    "an agent": AGENT_TOKEN,
    "another agent": OTHER_AGENT_TOKEN,
    "whoever is too late": EXPIRED_TOKEN,
}
KUBECONFIG_SECRETS = {
    "server": "203.0.113.7:6443",
    # A certificate whose key nobody has.
    "authority": """-----BEGIN CERTIFICATE-----
MIIBQTCB6KADAgECAgEHMAoGCCqGSM49BAMCMB8xHTAbBgNVBAMMFG5vdCBhIHJl
YWwgYXV0aG9yaXR5MCAXDTI2MDEwMTAwMDAwMFoYDzIxMjYwMTAxMDAwMDAwWjAf
MR0wGwYDVQQDDBRub3QgYSByZWFsIGF1dGhvcml0eTBZMBMGByqGSM49AgEGCCqG
SM49AwEHA0IABM4EUGzVYz61PwOhgzRJ+Z0lkDeTInbnv89u1lBaVNtRV7ZiuEcZ
Vc1df9ageqUtLg5D7CyjMKouaJHANSDAiaujEzARMA8GA1UdEwEB/wQFMAMBAf8w
CgYIKoZIzj0EAwIDSAAwRQIhAIARtOeMZHxsE8ix3F3wo+LBqXuporz6RLl0BUYi
THtlAiBZRzRDFBVco0zJPBYWNMf19sUJYSSlA9LauRc4xsGuEw==
-----END CERTIFICATE-----
""",
    "token": "kube-token-0123456789",
    "client key": "not a real client key",
}
AGENT_ID = "mochi"
OTHER_AGENT_ID = "tofu"

Json = Any


def create_friend(**fields: Json) -> Friend:
    """Return a friend as recorded."""
    defaults: dict[str, Json] = {
        "id": "alice",
        "uid": "1f2e3d4c5b6a79880123456789abcdef",
        "version": 1,
        "phase": Phase.READY,
        "cluster": "main",
        "tier": "default",
        "contact": Contact("Alice"),
        "created_at": "2026-11-24T09:00:00.000000Z",
        "updated_at": "2026-11-24T09:00:00.000000Z",
    }
    return Friend(**{**defaults, **fields})


def create_layout(**fields: Json) -> ClusterLayout:
    """Return a cluster's layout."""
    return ClusterLayout(
        **{
            "system_namespace": "friends-system",
            "ingress_namespace": "traefik",
            **fields,
        }
    )


def create_friend_body(**fields: Json) -> dict[str, Json]:
    """Return the body of a POST that registers a friend; None leaves a field out."""
    body = {"id": "alice", "display_name": "Alice", **fields}
    return {name: value for name, value in body.items() if value is not None}


def create_token_record(token: str, **fields: Json) -> dict[str, Json]:
    """Return a token's record in the tokens document."""
    return {
        "id": digest_of(token).hex()[:8],
        "sha256": digest_of(token).hex(),
        "role": "admin",
        "created_at": "2026-11-24T09:00:00Z",
        "expires_at": None,
        **fields,
    }


def create_tokens_document(*records: dict[str, Json]) -> str:
    """Return the tokens document; without records, the one of the tokens above."""
    return json.dumps(
        {
            "tokens": list(records)
            or [
                create_token_record(ADMIN_TOKEN),
                create_token_record(AGENT_TOKEN, role="agent", agent_id=AGENT_ID),
                create_token_record(OTHER_AGENT_TOKEN, role="agent", agent_id=OTHER_AGENT_ID),
                create_token_record(EXPIRED_TOKEN, expires_at="2026-01-01T00:00:00Z"),
            ]
        }
    )


def create_kubeconfig(
    *,
    server: str = f"https://{KUBECONFIG_SECRETS['server']}",
    user: Json = None,
    cluster: Json = None,
    **fields: Json,
) -> dict[str, Json]:
    """Return a kubeconfig that the loader accepts, unless a test spoils it."""
    token = KUBECONFIG_SECRETS["token"]
    authority = base64.b64encode(KUBECONFIG_SECRETS["authority"].encode()).decode()
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "main",
        "contexts": [{"name": "main", "context": {"cluster": "main", "user": "friend-api"}}],
        "clusters": [
            {
                "name": "main",
                "cluster": {
                    "server": server,
                    "certificate-authority-data": authority,
                    **(cluster or {}),
                },
            }
        ],
        "users": [{"name": "friend-api", "user": user or {"token": token}}],
        **fields,
    }


def create_record_spec(**fields: Json) -> RecordSpec:
    """Return what the record of a friend's exposure should say."""
    defaults: dict[str, Json] = {
        "name": "app-alice.friends.example",
        "type": "CNAME",
        "content": "edge.example.net",
        "proxied": True,
        "comment": owner_of("1f2e3d4c5b6a79880123456789abcdef", "app"),
    }
    return RecordSpec(**{**defaults, **fields})
