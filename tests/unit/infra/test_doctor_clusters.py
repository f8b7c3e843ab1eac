"""What the doctor says of a cluster whose answers are not what they should be."""

import base64
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from chalicelib.domain.dns import Domain
from chalicelib.gateways.cluster import KubernetesClusters
from infra.doctor.admin import KubectlReader, ReadError, check_as_admin
from infra.doctor.clusters import check_clusters
from infra.local.certificates import Validity, build_server_tls
from infra.local.cluster import ClusterDouble
from infra.local.wire import Answer, Wire, serve_on_loopback
from infra.stages import load_settings
from tests.cluster_client import ClusterClient
from tests.factories import KUBECONFIG_SECRETS, create_kubeconfig
from tests.manifests import create_config_map_manifest

SETTINGS = load_settings("local", {})
REVIEWS = "selfsubjectaccessreviews"
TRAEFIK = "GET /apis/traefik.io/v1alpha1$"


def examine(kube: ClusterDouble) -> list[str]:
    clusters = KubernetesClusters(lambda _: kube.kubeconfig(), allow_loopback=True)
    return [str(each) for each in check_clusters(clusters, SETTINGS)]


@pytest.mark.case("W3")
@pytest.mark.parametrize(
    ("status", "body"),
    [
        (201, b"<html>"),
        (201, b"[]"),
        (201, b'{"status": null}'),
        (201, b"{}"),
        (404, None),
        (403, None),
        (500, b"oops"),
    ],
)
def test_an_access_review_that_is_not_answered_properly_is_told_so(
    kube: ClusterDouble, status: int, body: bytes | None
) -> None:
    kube.fail_next(status=status, body=body, match=REVIEWS)
    answers, permissions, routes = examine(kube)
    assert answers == "ok    cluster main: answers"
    assert permissions.startswith("skip  cluster main: permissions: It cannot be checked here: ")
    assert routes == "ok    cluster main: ingressroutes.traefik.io"


@pytest.mark.case("L6")
@pytest.mark.parametrize(
    ("data", "said"),
    [
        ({"domains": "friends.example"}, "ok    "),
        ({"domains": "second.example,friends.example"}, "warn  "),
        ({"domains": "second.example"}, "FAIL  "),
        ({"domains": ""}, "FAIL  "),
        ({}, "FAIL  "),
        (None, "FAIL  "),
    ],
)
def test_the_domains_that_a_cluster_permits_are_compared_with_the_settings(
    kube: ClusterDouble, data: dict[str, str] | None, said: str
) -> None:
    admin = ClusterClient(kube.kubeconfig())
    admin.create_namespace("friends-system")
    if data is not None:
        manifest = create_config_map_manifest("friend-api-domains", data=data)
        manifest["metadata"]["namespace"] = "friends-system"
        admin.create(manifest)
    clusters = KubernetesClusters(lambda _: kube.kubeconfig(), allow_loopback=True)
    domain = Domain("friends.example", "0" * 32, "203.0.113.9", proxied=True)
    lines = [str(each) for each in check_clusters(clusters, replace(SETTINGS, domains=(domain,)))]
    assert lines[-1].startswith(f"{said}cluster main: ConfigMap friend-api-domains")


@pytest.mark.case("W3")
def test_an_access_review_without_an_answer_is_told_so(kube: ClusterDouble) -> None:
    kube.fail_next(drop=True, match=REVIEWS)
    assert "answer to access reviews is none (ProtocolError)" in examine(kube)[1]


@pytest.mark.case("W4")
@pytest.mark.parametrize(
    ("status", "body", "line"),
    [
        (404, b"404 page not found", "FAIL"),
        (404, None, "FAIL"),
        (200, b'{"kind": "APIResourceList", "resources": []}', "FAIL"),
        (200, b'{"resources": [{"name": "middlewares"}]}', "FAIL"),
        (200, b"<html>", "skip"),
        (200, b'{"resources": [1]}', "skip"),
        (503, None, "skip"),
    ],
)
def test_a_cluster_without_traefiks_custom_resource_is_named(
    kube: ClusterDouble, status: int, body: bytes | None, line: str
) -> None:
    kube.fail_next(status=status, body=body, match=TRAEFIK)
    finding = examine(kube)[-1]
    assert finding.startswith(f"{line}  cluster main: ingressroutes.traefik.io: ")
    assert line == "skip" or "Fix: install Traefik with its custom resources" in finding


@pytest.mark.case("W5")
@pytest.mark.parametrize(
    ("certificate", "authority", "says"),
    [
        ({"names": ["kube.example.com"]}, None, "does not name the server's address"),
        ({}, KUBECONFIG_SECRETS["authority"], "is signed by an authority that is not in"),
        ({"validity": Validity(-9, -1)}, None, "has expired"),
        ({"validity": Validity(1, 9)}, None, "is not valid yet"),
    ],
    ids=["name", "authority", "expired", "too early"],
)
def test_the_fault_of_a_certificate_is_the_doctors_finding(
    certificate: Any, authority: str | None, says: str
) -> None:
    context, ca_pem = build_server_tls(**certificate)
    data = base64.b64encode((authority or ca_pem).encode()).decode()
    with serve_on_loopback(Wire(), lambda _: Answer(200, {}), tls=context) as url:
        cluster = {"certificate-authority-data": data}
        config = json.dumps(create_kubeconfig(server=url, cluster=cluster))
        clusters = KubernetesClusters(lambda _: config, allow_loopback=True)
        (finding,) = map(str, check_clusters(clusters, SETTINGS))
    assert finding.startswith(f"FAIL  cluster main: The cluster's certificate {says}")
    assert "Fix: make store-kubeconfig CLUSTER=main FILE=/path" in finding


def test_a_cluster_that_is_away_is_told_from_a_wrong_kubeconfig() -> None:
    config = json.dumps(create_kubeconfig(server="https://127.0.0.1:9"))
    clusters = KubernetesClusters(lambda _: config, allow_loopback=True)
    (finding,) = map(str, check_clusters(clusters, SETTINGS))
    assert "(cluster_unreachable) Fix: see that its API server runs" in finding


class Answers:
    """A reader of what an admin would see."""

    def __init__(self, answers: Mapping[str, Any]) -> None:
        """Answer paths that start with these, and refuse others."""
        self._answers = answers

    def read(self, path: str) -> dict[str, Any]:
        """See Reader."""
        for start, answer in self._answers.items():
            if path.split("?", maxsplit=1)[0] == start:
                return dict(answer)
        msg = "Error from server (Forbidden)"
        raise ReadError(msg)


NODES, PODS = "/api/v1/nodes", "/api/v1/namespaces/traefik/pods"
CONFIGZ = "/api/v1/nodes/n1/proxy/configz"
WELL = {"podPidsLimit": 1024, "imageGCHighThresholdPercent": 85, "imageGCLowThresholdPercent": 80}


def node(*addresses: str) -> dict[str, Any]:
    listed = [{"type": "InternalIP", "address": each} for each in addresses]
    return {"items": [{"metadata": {"name": "n1"}, "status": {"addresses": listed}}]}


def traefik(*arguments: str, ready: str = "True", **fields: Any) -> dict[str, Any]:
    container = {"name": "traefik", "image": "traefik:v3.7", "args": list(arguments)}
    pod = {
        "metadata": {"name": "traefik-1", "labels": {"app.kubernetes.io/name": "traefik"}},
        "spec": {"containers": [container]},
        "status": {"conditions": [{"type": "Ready", "status": ready}]},
        **fields,
    }
    return {"items": [pod]}


def as_admin(answers: Mapping[str, Any], *ranges: str) -> list[str]:
    settings = replace(SETTINGS, layout=replace(SETTINGS.layout, cluster_cidrs=ranges))
    return [str(each) for each in check_as_admin("main", Answers(answers), settings, stage="x")]


def test_a_cluster_that_is_well_is_so_in_each_of_it() -> None:
    arguments = ("--entryPoints.web.address=:8000/tcp", "--entrypoints.websecure.address=:8443")
    answers = {
        NODES: node("10.0.0.7", "n1.internal"),
        CONFIGZ: {"kubeletconfig": WELL},
        PODS: traefik(*arguments),
    }
    assert as_admin(answers) == [
        "ok    cluster main: addresses of 1 nodes",
        "ok    cluster main: kubelet of n1",
        "ok    cluster main: Traefik: 1 pods in the namespace traefik",
        "ok    cluster main: Traefik: entry points web, websecure",
    ]


@pytest.mark.case("M9")
@pytest.mark.parametrize(
    ("addresses", "ranges", "is_well"),
    [
        (["10.0.0.7", "8.8.8.8"], [], False),
        (["10.0.0.7", "8.8.8.8"], ["8.8.8.0/24"], True),
        (["8.8.8.8"], ["9.9.9.0/24"], False),
        (["2a00:1450:4001::1"], [], False),
        (["2a00:1450:4001::1"], ["2a00:1450::/32"], True),
        (["192.168.1.1", "fd00::1", "100.64.0.9"], [], True),
    ],
)
def test_a_nodes_public_address_in_no_range_is_a_failure(
    addresses: list[str], ranges: list[str], is_well: bool
) -> None:
    line = as_admin({NODES: node(*addresses), CONFIGZ: {"kubeletconfig": WELL}}, *ranges)[0]
    assert line.startswith("ok" if is_well else "FAIL")
    assert is_well or f"n1 ({addresses[-1]})" in line
    assert is_well or "add their range to CLUSTER_CIDRS" in line


@pytest.mark.case("M8")
@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"podPidsLimit": -1}, "podPidsLimit is not set"),
        ({"podPidsLimit": None}, "podPidsLimit is not set"),
        ({"imageGCHighThresholdPercent": 100}, "Images are never collected"),
        ({"podPidsLimit": 0, "imageGCHighThresholdPercent": 100}, "Images are never collected"),
    ],
)
def test_a_kubelet_that_bounds_no_pids_or_collects_no_images_is_a_failure(
    changed: dict[str, Any], says: str
) -> None:
    line = as_admin({NODES: node(), CONFIGZ: {"kubeletconfig": {**WELL, **changed}}})[1]
    assert line.startswith("FAIL  cluster main: kubelet of n1: ")
    assert says in line


@pytest.mark.case("M8")
def test_a_kubelet_that_does_not_show_its_configuration_is_told_so() -> None:
    line = as_admin({NODES: node()})[1]
    assert line.startswith("skip  cluster main: kubelet of n1: ")


@pytest.mark.case("W4")
@pytest.mark.parametrize(
    ("pods", "outcome", "says"),
    [
        ({"items": []}, "FAIL", "There is no pod of Traefik's in the namespace traefik"),
        (traefik(ready="False"), "FAIL", "No pod of Traefik's is ready in the namespace traefik"),
        (traefik(status={}), "FAIL", "No pod of Traefik's is ready"),
        (traefik("--entryPoints.http.address=:80"), "FAIL", "the API's routes name others"),
        (traefik("--entryPoints.web.address=:80"), "ok ", "entry points web"),
        (traefik("--entryPoints.websecure.http.tls=true"), "ok ", "entry points websecure"),
        (traefik("--configfile=/etc/traefik.yaml"), "skip", "Traefik's arguments name none"),
    ],
)
def test_traefik_is_looked_for_where_the_settings_say(
    pods: dict[str, Any], outcome: str, says: str
) -> None:
    line = as_admin({PODS: pods})[-1]
    assert line.startswith(outcome)
    assert says in line


@pytest.mark.case("W3")
def test_without_an_admins_kubeconfig_it_is_told_how_to_look() -> None:
    found = list(check_as_admin("main", None, SETTINGS, stage="prod"))
    assert all(each.is_well for each in found)
    assert all("make doctor STAGE=prod KUBECONFIG=/path/of/an/admin" in each.fix for each in found)
    assert "proxy/configz" in found[1].fix


@pytest.mark.case("W3")
def test_an_admin_who_may_see_nothing_is_told_so() -> None:
    found = as_admin({})
    assert [each[:4] for each in found] == ["skip", "skip"]
    assert "(Forbidden)" in found[0]


@pytest.mark.parametrize(
    ("script", "says"),
    [
        ("echo '{\"items\": []}'", None),
        ("echo 'no such host' >&2; exit 1", "no such host"),
        ("echo '[]'", "kubectl failed"),
        ("echo x", "kubectl failed"),
    ],
)
def test_kubectl_reads_as_the_operator(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, says: str | None
) -> None:
    kubectl = tmp_path / "kubectl"
    kubectl.write_text(f"#!/bin/sh\n{script}\n")
    kubectl.chmod(0o700)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    reader = KubectlReader(Path("/nowhere"))
    if says is None:
        assert reader.read("/api/v1/nodes") == json.loads('{"items": []}')
    else:
        with pytest.raises(ReadError, match=says):
            reader.read("/api/v1/nodes")


def test_a_kubectl_that_is_not_there_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(ReadError, match="FileNotFoundError"):
        KubectlReader(Path("/nowhere")).read("/api/v1/nodes")
