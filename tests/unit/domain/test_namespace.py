"""What every friend's namespace is made of: the product's documented figures."""

import hashlib
import json
from typing import Any

from chalicelib.domain.internet import open_ranges
from chalicelib.domain.namespace import DIGEST_ANNOTATION, build_namespace_objects
from tests.factories import create_friend, create_layout


def build(**layout: Any) -> dict[str, Any]:
    objects = build_namespace_objects(create_friend(), create_layout(**layout))
    return {each["kind"]: each for each in objects}


def test_the_namespace_says_whose_it_is_and_is_restricted() -> None:
    metadata = build()["Namespace"]["metadata"]
    assert metadata["name"] == "friend-alice"
    labels = metadata["labels"]
    assert labels["app.kubernetes.io/managed-by"] == "friends-api"
    assert labels["friends-api/friend"] == "alice"
    assert labels["friends-api/uid"] == create_friend().uid
    for mode in ("enforce", "warn", "audit"):
        assert labels[f"pod-security.kubernetes.io/{mode}"] == "restricted"


def test_the_digest_is_of_all_that_the_object_says() -> None:
    # Another way of computing it would have a release write every object of every friend.
    for thing in build(cluster_cidrs=("8.8.8.0/24",)).values():
        digest = thing["metadata"].pop("annotations")[DIGEST_ANNOTATION]
        canonical = json.dumps(thing, sort_keys=True)
        assert digest == hashlib.sha256(canonical.encode()).hexdigest()


def test_the_default_tier_is_half_a_core_and_three_pods() -> None:
    hard = build()["ResourceQuota"]["spec"]["hard"]
    for side in ("requests", "limits"):
        assert (hard[f"{side}.cpu"], hard[f"{side}.memory"]) == ("500m", "512Mi")
    assert hard["limits.ephemeral-storage"] == "3Gi"
    assert (hard["pods"], hard["persistentvolumeclaims"]) == ("3", "2")
    assert any(name.startswith("count/") for name in hard)


def test_containers_have_limits_by_default() -> None:
    (limit,) = build()["LimitRange"]["spec"]["limits"]
    assert limit == {
        "type": "Container",
        "default": {"cpu": "100m", "memory": "64Mi", "ephemeral-storage": "512Mi"},
        "defaultRequest": {"cpu": "50m", "memory": "32Mi", "ephemeral-storage": "64Mi"},
        "max": {"cpu": "500m", "memory": "256Mi", "ephemeral-storage": "1Gi"},
    }


def test_traffic_comes_in_from_the_same_the_system_and_the_ingress_namespace_only() -> None:
    spec = build(system_namespace="friends-system", ingress_namespace="edge")["NetworkPolicy"][
        "spec"
    ]
    assert spec["podSelector"] == {}
    assert spec["policyTypes"] == ["Ingress", "Egress"]
    (rule,) = spec["ingress"]
    assert rule["from"] == [
        {"podSelector": {}},
        *(
            {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": name}}}
            for name in ("friends-system", "edge")
        ),
    ]


def test_traffic_goes_out_to_dns_the_same_namespace_and_the_internet_only() -> None:
    spec = build(cluster_cidrs=("8.8.8.0/24", "2606:4700:1::/48"))["NetworkPolicy"]["spec"]
    dns, same_namespace, internet = spec["egress"]
    assert {port["port"] for port in dns["ports"]} == {53}
    assert same_namespace == {"to": [{"podSelector": {}}]}
    assert [(block["ipBlock"]["cidr"], block["ipBlock"]["except"]) for block in internet["to"]] == [
        (each.cidr, list(each.closed)) for each in open_ranges(("8.8.8.0/24", "2606:4700:1::/48"))
    ]


def test_the_default_service_account_has_no_token() -> None:
    account = build()["ServiceAccount"]
    assert account["metadata"]["name"] == "default"
    assert account["automountServiceAccountToken"] is False


def test_the_binding_gives_the_controller_one_role_inside_the_namespace() -> None:
    binding = build()["RoleBinding"]
    assert binding["roleRef"]["name"] == "friend-manager"
    (subject,) = binding["subjects"]
    assert (subject["kind"], subject["name"], subject["namespace"]) == (
        "ServiceAccount",
        "friend-api",
        "friends-system",
    )


def test_every_object_carries_the_digest_of_its_own_desired_state() -> None:
    before, same, after = build(), build(), build(ingress_namespace="edge")

    def digest(objects: dict[str, Any], kind: str) -> str:
        return str(objects[kind]["metadata"]["annotations"][DIGEST_ANNOTATION])

    assert all(digest(before, kind) == digest(same, kind) for kind in before)
    assert digest(before, "NetworkPolicy") != digest(after, "NetworkPolicy")
    assert digest(before, "ResourceQuota") == digest(after, "ResourceQuota")
    assert len({digest(before, kind) for kind in before}) == len(before)
