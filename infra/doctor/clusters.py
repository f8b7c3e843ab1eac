"""The clusters: reached as the API reaches them, and with every right that it needs at first."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

import yaml
from kubernetes.client.exceptions import ApiException

from chalicelib.domain import kinds
from chalicelib.domain.deadline import Deadline
from chalicelib.domain.errors import ApiError
from infra.doctor.findings import Finding
from infra.paths import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kubernetes.dynamic import DynamicClient

    from chalicelib.gateways.cluster import KubernetesClusters
    from chalicelib.settings import Settings

_ROLES: Final = ROOT / "infra" / "cluster" / "roles.yaml"
# friend-manager holds inside a friend's namespace only, by the binding that provisioning makes.
_CLUSTER_WIDE: Final = ("friend-provisioner", "friend-observer")
_REVIEWS: Final = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
_SECONDS: Final = 20
_APPLY: Final = "kubectl apply -k infra/cluster, and store the kubeconfig of its service account."


def check_clusters(clusters: KubernetesClusters, settings: Settings) -> Iterator[Finding]:
    """Yield what became of each cluster."""
    for name in settings.cluster_names:
        yield from _check(clusters, name)


def _check(clusters: KubernetesClusters, name: str) -> Iterator[Finding]:
    subject = f"cluster {name}"
    try:
        next(clusters.open(name, Deadline.after(_SECONDS)).list_pages(kinds.NAMESPACE), None)
    except ApiError as error:
        fix = f"see that its API server runs; make store-kubeconfig CLUSTER={name} FILE=/path"
        is_forbidden = error.code == "cluster_forbidden"
        yield Finding(subject, f"{error} ({error.code})", _APPLY if is_forbidden else fix)
        return
    yield Finding(f"{subject}: answers")
    client = clusters.client(name)
    try:
        denied = [each for each in _needed() if not _may(client, each)]
    except ApiException as error:
        yield Finding(f"{subject}: permissions not tried, it answers {error.status} to reviews")
        return
    if denied:
        fault = f"The account may not {', '.join(map(_describe, denied))}."
        yield Finding(f"{subject}: permissions", fault, _APPLY)
    else:
        yield Finding(f"{subject}: permissions")


def _needed() -> Iterator[dict[str, str]]:
    """Yield each right that the roles give cluster-wide, as a review asks for it."""
    for role in yaml.safe_load_all(_ROLES.read_text()):
        if role["kind"] == "ClusterRole" and role["metadata"]["name"] in _CLUSTER_WIDE:
            for rule in role["rules"]:
                for resource in rule["resources"]:
                    for verb in rule["verbs"]:
                        (group,), names = rule["apiGroups"], rule.get("resourceNames", ("",))
                        asked = {"verb": verb, "group": group, "resource": resource}
                        yield from ({**asked, "name": name} for name in names)


def _may(client: DynamicClient, attributes: dict[str, str]) -> bool:
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": attributes},
    }
    answer = client.request("POST", _REVIEWS, body=review, serialize=False)
    return bool(json.loads(answer.data)["status"]["allowed"])


def _describe(attributes: dict[str, str]) -> str:
    return f"{attributes['verb']} {attributes['resource']}"
