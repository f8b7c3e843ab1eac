"""The clusters: reached as the API reaches them, and with every right that it needs at first."""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

import yaml
from kubernetes.client.exceptions import ApiException
from urllib3.exceptions import HTTPError

from chalicelib.domain import kinds
from chalicelib.domain.deadline import Deadline
from chalicelib.domain.errors import ApiError
from infra.doctor.findings import Finding, Outcome, untold
from infra.paths import ROOT
from infra.route_domains import KEY, NAME, NAMESPACE

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from kubernetes.dynamic import DynamicClient

    from chalicelib.gateways.cluster import KubernetesClusters
    from chalicelib.settings import Settings

_ROLES: Final = ROOT / "infra" / "cluster" / "roles.yaml"
# friend-manager holds inside a friend's namespace only, by the binding that provisioning makes.
_CLUSTER_WIDE: Final = ("friend-provisioner", "friend-observer")
_REVIEWS: Final = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
_TRAEFIK: Final = f"/apis/{kinds.INGRESS_ROUTE.group}/{kinds.INGRESS_ROUTE.version}"
_ROUTES: Final = f"{kinds.INGRESS_ROUTE.plural}.{kinds.INGRESS_ROUTE.group}"
_SECONDS: Final = 20
_APPLY: Final = "kubectl apply -k infra/cluster, and store the kubeconfig of its service account."
_FIXES: Final = {
    "cluster_forbidden": _APPLY,
    "cluster_unreachable": "see that its API server runs, and that Lambda may reach it; otherwise "
    "make store-kubeconfig CLUSTER={name} FILE=/path with the server's right address",
}
_TELL: Final = (
    "make route-domains DOMAINS=domains.json, with an admin's kubeconfig of this cluster."
)
_INSTALL: Final = "install Traefik with its custom resources: docs/deploy.md, step 1."


class _NotAnsweredError(Exception):
    """The cluster did not do what it was asked; the message says what it did."""


class _NotFoundError(_NotAnsweredError):
    """There is no such path."""


def check_clusters(clusters: KubernetesClusters, settings: Settings) -> Iterator[Finding]:
    """Yield what became of each cluster."""
    domains = [each.name for each in settings.domains]
    for name in settings.cluster_names:
        yield from _check(clusters, name, domains)


def _check(clusters: KubernetesClusters, name: str, domains: Sequence[str]) -> Iterator[Finding]:
    subject = f"cluster {name}"
    try:
        next(clusters.open(name, Deadline.after(_SECONDS)).list_pages(kinds.NAMESPACE), None)
    except ApiError as error:
        fix = _FIXES.get(error.code, "make store-kubeconfig CLUSTER={name} FILE=/path")
        yield Finding(subject, f"{error} ({error.code})", fix.format(name=name))
        return
    yield Finding(f"{subject}: answers")
    client = clusters.client(name)
    yield _check_permissions(client, f"{subject}: permissions")
    yield _check_routes(client, f"{subject}: {_ROUTES}")
    if domains:
        yield _check_domains(client, f"{subject}: ConfigMap {NAME}", domains)


def _check_permissions(client: DynamicClient, subject: str) -> Finding:
    try:
        denied = [each for each in _needed() if not _may(client, each)]
    except _NotAnsweredError as error:
        return untold(subject, f"the cluster's answer to access reviews is {error}.")
    if denied:
        fault = f"The account may not {', '.join(map(_describe, denied))}."
        return Finding(subject, fault, _APPLY)
    return Finding(subject)


def _check_routes(client: DynamicClient, subject: str) -> Finding:
    """Look for Traefik's custom resource among what is served, which every account sees."""
    missing = Finding(subject, "The cluster does not know it.", _INSTALL)
    try:
        served = _ask(client, "GET", _TRAEFIK)
        names = {each["name"] for each in served["resources"]}
    except _NotFoundError:
        return missing
    except _NotAnsweredError as error:
        return untold(subject, f"the cluster's answer to discovery is {error}.")
    except (LookupError, TypeError):
        return untold(subject, "the cluster's answer to discovery is not understood.")
    return Finding(subject) if "ingressroutes" in names else missing


def _check_domains(client: DynamicClient, subject: str, domains: Sequence[str]) -> Finding:
    """Compare the domains that routes may be on, as the cluster's policy knows them, with ours."""
    try:
        found = _ask(client, "GET", f"/api/v1/namespaces/{NAMESPACE}/configmaps/{NAME}")
        known = set(found["data"][KEY].split(","))
    except _NotFoundError:
        return Finding(subject, "It is missing, so no route is permitted.", _TELL)
    except _NotAnsweredError as error:
        return untold(subject, f"the cluster's answer is {error}.")
    except (AttributeError, LookupError, TypeError):
        return Finding(subject, "It does not say which domains routes may be on.", _TELL)
    if missing := [each for each in domains if each not in known]:
        return Finding(subject, f"It lacks {', '.join(missing)}.", _TELL)
    if surplus := sorted(known.difference(domains)):
        fault = f"It has {', '.join(surplus)} too, which this stage does not use."
        return Finding(
            subject, fault, f"leave it where another stage does; otherwise {_TELL}", Outcome.SOON
        )
    return Finding(subject)


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
    answer = _ask(client, "POST", _REVIEWS, review)
    try:
        return bool(answer["status"]["allowed"])
    except (LookupError, TypeError):
        msg = "not understood"
        raise _NotAnsweredError(msg) from None


def _ask(
    client: DynamicClient, method: str, path: str, body: dict[str, Any] | None = None
) -> dict[str, Any]:
    """Return the object that the cluster answers with. Raises _NotAnsweredError otherwise."""
    try:
        answer = client.request(
            method, path, body=body, serialize=False, _request_timeout=(_SECONDS, _SECONDS)
        )
        found = json.loads(answer.data)
    except ApiException as error:
        refused = _NotFoundError if error.status == HTTPStatus.NOT_FOUND else _NotAnsweredError
        raise refused(str(error.status or "none")) from None
    except HTTPError as error:
        raise _NotAnsweredError(f"none ({type(error).__name__})") from None
    except ValueError:
        msg = "not understood"
        raise _NotAnsweredError(msg) from None
    if not isinstance(found, dict):
        msg = "not understood"
        raise _NotAnsweredError(msg)
    return found


def _describe(attributes: dict[str, str]) -> str:
    return f"{attributes['verb']} {attributes['resource']}"
