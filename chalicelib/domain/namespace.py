"""What must be true of a friend's namespace: its objects, built from the friend alone.

Every object carries the digest of its desired state. Comparing field by field cannot see a field
that is no longer wanted, because an object may hold more than we ask for; a changed digest makes
that a difference, and server-side apply then removes the field. Every object carries the friend's
uid as well, so that a re-registered id adopts nothing.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType
from typing import Final

from chalicelib.domain import kinds
from chalicelib.domain.internet import open_ranges
from chalicelib.domain.kinds import Kind
from chalicelib.domain.model import Friend, JsonObject
from chalicelib.domain.tiers import TIERS, Tier

MANAGED_BY_LABEL: Final = "app.kubernetes.io/managed-by"
MANAGER: Final = "friends-api"
FRIEND_LABEL: Final = "friends-api/friend"
UID_LABEL: Final = "friends-api/uid"
DIGEST_ANNOTATION: Final = "friends-api/digest"
QUOTA_NAME: Final = "friend-quota"
NETWORK_POLICY_NAME: Final = "friend-netpol"

# The controller's rights inside a friend's namespace come from this ClusterRole alone.
MANAGER_ROLE: Final = "friend-manager"
SERVICE_ACCOUNT_NAME: Final = "friend-api"

_POD_SECURITY: Final = {
    f"pod-security.kubernetes.io/{mode}{suffix}": value
    for mode in ("enforce", "warn", "audit")
    for suffix, value in (("", "restricted"), ("-version", "latest"))
}


@dataclass(frozen=True)
class ClusterLayout:
    """Where things are in every cluster: what a namespace's isolation has to know.

    cluster_cidrs are what pods must not reach although it lies in public address space: ranges of
    pods, Services and nodes.
    """

    system_namespace: str
    ingress_namespace: str
    cluster_cidrs: tuple[str, ...] = ()


# Made once: a pass over everything encodes each object, and making an encoder takes as long.
_encode_canonically: Final = json.JSONEncoder(sort_keys=True).encode


@dataclass(frozen=True)
class _Body:
    """What an object says beyond its metadata, and its canonical JSON on either side of that.

    All friends of a tier share it: a pass over everything then encodes metadata alone.
    """

    fields: JsonObject
    before: str
    after: str


def _create_body(kind: Kind, body: JsonObject) -> _Body:
    fields = {"apiVersion": kind.api_version, "kind": kind.name, **body}
    before = _encode_canonically({k: v for k, v in fields.items() if k < "metadata"})
    after = {k: v for k, v in fields.items() if k > "metadata"}
    following = f", {_encode_canonically(after)[1:]}" if after else "}"
    return _Body(fields, f'{before[:-1]}, "metadata": ', following)


def build_namespace_objects(friend: Friend, layout: ClusterLayout) -> tuple[JsonObject, ...]:
    """Return the friend's desired objects, the namespace first, then what the rest depends on."""
    return tuple(build_namespace_object(kind, friend, layout) for kind in NAMESPACE_KINDS)


def build_namespace_object(kind: Kind, friend: Friend, layout: ClusterLayout) -> JsonObject:
    """Return the friend's one desired object of this kind.

    What it says beyond its metadata is others' too, and not to be changed.
    """
    if kind == kinds.NAMESPACE:
        return _build(friend, kind, friend.namespace, _NAMESPACE_BODY, _POD_SECURITY)
    name, body = _body_of(kind, friend.tier, layout)
    return _build(friend, kind, name, body)


def build_object(friend: Friend, kind: Kind, name: str, body: JsonObject) -> JsonObject:
    """Return an object of the friend's: labelled as theirs, with the digest of what it says."""
    return _build(friend, kind, name, _create_body(kind, body))


def _build(
    friend: Friend,
    kind: Kind,
    name: str,
    body: _Body,
    labels: Mapping[str, str] = MappingProxyType({}),
) -> JsonObject:
    metadata: JsonObject = {
        "name": name,
        "labels": {
            MANAGED_BY_LABEL: MANAGER,
            FRIEND_LABEL: friend.id,
            UID_LABEL: friend.uid,
            **labels,
        },
    }
    if kind.namespaced:
        metadata["namespace"] = friend.namespace
    canonical = f"{body.before}{_encode_canonically(metadata)}{body.after}"
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    metadata["annotations"] = {DIGEST_ANNOTATION: digest}
    return {**body.fields, "metadata": metadata}


def _role_binding(_: Tier, layout: ClusterLayout) -> tuple[str, JsonObject]:
    return MANAGER_ROLE, {
        "roleRef": {
            "apiGroup": "rbac.authorization.k8s.io",
            "kind": "ClusterRole",
            "name": MANAGER_ROLE,
        },
        "subjects": [
            {
                "kind": "ServiceAccount",
                "name": SERVICE_ACCOUNT_NAME,
                "namespace": layout.system_namespace,
            }
        ],
    }


def _quota(tier: Tier, _: ClusterLayout) -> tuple[str, JsonObject]:
    hard = {
        "requests.cpu": tier.quota_cpu,
        "requests.memory": tier.quota_memory,
        "limits.cpu": tier.quota_cpu,
        "limits.memory": tier.quota_memory,
        # Who fills a node's disk has the pods of others evicted.
        "limits.ephemeral-storage": tier.quota_storage,
        "pods": str(tier.pods),
        "persistentvolumeclaims": str(tier.volume_claims),
    }
    counts = {name: str(count) for name, count in tier.object_counts.items()}
    return QUOTA_NAME, {"spec": {"hard": hard | counts}}


def _limit_range(tier: Tier, _: ClusterLayout) -> tuple[str, JsonObject]:
    limit = {
        "type": "Container",
        "default": _resources(tier.default_cpu, tier.default_memory, tier.default_storage),
        "defaultRequest": _resources(tier.request_cpu, tier.request_memory, tier.request_storage),
        "max": _resources(tier.max_cpu, tier.max_memory, tier.max_storage),
    }
    return "friend-limits", {"spec": {"limits": [limit]}}


def _resources(cpu: str, memory: str, storage: str) -> JsonObject:
    return {"cpu": cpu, "memory": memory, "ephemeral-storage": storage}


def _network_policy(_: Tier, layout: ClusterLayout) -> tuple[str, JsonObject]:
    same_namespace: JsonObject = {"podSelector": {}}
    dns_ports = [{"port": 53, "protocol": "UDP"}, {"port": 53, "protocol": "TCP"}]
    return NETWORK_POLICY_NAME, {
        "spec": {
            "podSelector": {},
            "policyTypes": ["Ingress", "Egress"],
            "ingress": [
                {
                    "from": [
                        same_namespace,
                        all_of_namespace(layout.system_namespace),
                        all_of_namespace(layout.ingress_namespace),
                    ]
                }
            ],
            "egress": [
                {"to": [all_of_namespace("kube-system")], "ports": dns_ports},
                {"to": [same_namespace]},
                {"to": _internet(layout.cluster_cidrs)},
            ],
        }
    }


def _service_account(_: Tier, __: ClusterLayout) -> tuple[str, JsonObject]:
    return "default", {"automountServiceAccountToken": False}


def all_of_namespace(name: str) -> JsonObject:
    """Return the peer of a NetworkPolicy that stands for every pod of a namespace."""
    return {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": name}}}


def _internet(cluster_cidrs: tuple[str, ...]) -> list[JsonObject]:
    return [
        {"ipBlock": {"cidr": each.cidr, "except": list(each.closed)}}
        for each in open_ranges(cluster_cidrs)
    ]


# What a namespace holds of each kind: its name, and what it says beyond its metadata.
_BODIES: Final[Mapping[Kind, Callable[[Tier, ClusterLayout], tuple[str, JsonObject]]]] = {
    kinds.ROLE_BINDING: _role_binding,
    kinds.RESOURCE_QUOTA: _quota,
    kinds.LIMIT_RANGE: _limit_range,
    kinds.NETWORK_POLICY: _network_policy,
    kinds.SERVICE_ACCOUNT: _service_account,
}
NAMESPACE_KINDS: Final = (kinds.NAMESPACE, *_BODIES)
_NAMESPACE_BODY: Final = _create_body(kinds.NAMESPACE, {})


@cache
def _body_of(kind: Kind, tier: str, layout: ClusterLayout) -> tuple[str, _Body]:
    name, body = _BODIES[kind](TIERS[tier], layout)
    return name, _create_body(kind, body)
