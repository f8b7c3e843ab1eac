"""What the answers of an API server, and of what stands before it, come to."""

import base64
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from chalicelib.domain import kinds
from chalicelib.domain.deadline import Deadline
from chalicelib.domain.errors import ApiError, UpstreamFailed
from chalicelib.domain.kinds import ObjectRef
from chalicelib.gateways.cluster import KubernetesClusters
from chalicelib.ports import Cluster, LogQuery
from infra.local.cluster import ClusterDouble
from tests.cluster_client import ClusterClient
from tests.manifests import create_config_map_manifest

PAGE = b"<html><body>Forbidden by proxy.example</body></html>"
HTML = {"Content-Type": "text/html; charset=utf-8"}
REF = ObjectRef(kinds.CONFIG_MAP, "default", "settings")


def open_cluster(kubeconfig: str) -> Cluster:
    clusters = KubernetesClusters(lambda _: kubeconfig, allow_loopback=True)
    return clusters.open("main", Deadline.after(9))


@pytest.fixture
def cluster(kube: ClusterDouble) -> Cluster:
    """The double, through the gateway."""
    return open_cluster(kube.kubeconfig())


def manifest() -> Any:
    made = create_config_map_manifest()
    made["metadata"] = {**made["metadata"], "namespace": "default", "name": "settings"}
    return made


CALLS: dict[str, Callable[[Cluster], object]] = {
    "get": lambda cluster: cluster.get(REF),
    "list": lambda cluster: list(cluster.list_pages(kinds.NAMESPACE)),
    "apply": lambda cluster: cluster.apply(manifest(), force=False),
    "create": lambda cluster: cluster.create(manifest()),
    "delete": lambda cluster: cluster.delete(REF),
    "log": lambda cluster: cluster.read_log(
        "default",
        "web",
        LogQuery(tail=10, container="web", previous=False, since_seconds=None, limit_bytes=1000),
    ),
}


@pytest.mark.case("W10")
@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize(
    ("status", "headers", "body"),
    [
        (403, HTML, PAGE),
        (403, {}, b'{"message": "Forbidden"}'),
        (404, HTML, PAGE),
        (401, HTML, PAGE),
        (407, {}, b"Proxy Authentication Required"),
        (302, {"Location": "https://login.example"}, b""),
        (200, HTML, PAGE),
        (400, {}, b"bad request"),
    ],
    ids=["403", "403 in JSON", "404", "401", "407", "a redirect", "a page", "400 in plain text"],
)
def test_what_a_proxy_answers_is_not_taken_for_the_clusters_word(  # noqa: PLR0913, PLR0917 - the answer's parts
    kube: ClusterDouble,
    cluster: Cluster,
    call: str,
    status: int,
    headers: dict[str, str],
    body: bytes,
) -> None:
    kube.fail_next(status=status, headers=headers, body=body, times=2)
    with pytest.raises(UpstreamFailed) as failure:
        CALLS[call](cluster)
    assert failure.value.code == "cluster_misconfigured"
    assert failure.value.message.startswith(
        f"A proxy or firewall answered ({status}) in place of the cluster's API server."
    )


@pytest.mark.case("W10")
@pytest.mark.parametrize(
    ("status", "body", "code"),
    [
        (403, None, "cluster_forbidden"),
        (401, None, "cluster_auth"),
        (401, b'{"type": "error", "code": "Unauthorized"}', "cluster_auth"),
        (410, None, "cluster_failed"),
    ],
)
def test_what_the_api_server_refuses_is_told_as_before(
    kube: ClusterDouble, cluster: Cluster, status: int, body: bytes | None, code: str
) -> None:
    kube.fail_next(status=status, body=body, times=9)
    with pytest.raises(ApiError) as failure:
        list(cluster.list_pages(kinds.NAMESPACE))
    assert failure.value.code == code


@pytest.mark.case("W10")
def test_a_group_that_is_not_served_has_no_objects(kube: ClusterDouble, cluster: Cluster) -> None:
    kube.fail_next(status=404, body=b"404 page not found\n")
    assert list(cluster.list_pages(kinds.INGRESS_ROUTE)) == []


@pytest.fixture
def names(kube: ClusterDouble, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Namespaces, on pages of two."""
    monkeypatch.setattr("chalicelib.gateways.cluster._PAGE", 2)
    client = ClusterClient(kube.kubeconfig())
    for number in range(5):
        body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": f"n-{number}"}}
        assert client.call("POST", "/api/v1/namespaces", body)[0] == 201
    return names_of(open_cluster(kube.kubeconfig()).list_pages(kinds.NAMESPACE))


def names_of(pages: Any) -> list[str]:
    return [each["metadata"]["name"] for page in pages for each in page]


@pytest.mark.case("W10")
@pytest.mark.parametrize("after", [1, 2, 3])
def test_a_list_whose_place_is_forgotten_begins_anew_and_yields_each_once(
    kube: ClusterDouble, cluster: Cluster, names: list[str], after: int
) -> None:
    pages = cluster.list_pages(kinds.NAMESPACE)
    begun = names_of(next(pages) for _ in range(after))
    kube.fail_next(status=410)
    assert begun + names_of(pages) == names
    assert len(set(names)) == len(names) >= 5


@pytest.mark.case("W10")
def test_what_came_while_a_list_began_anew_is_yielded_too(
    kube: ClusterDouble, cluster: Cluster, names: list[str]
) -> None:
    pages = cluster.list_pages(kinds.NAMESPACE)
    begun = names_of([next(pages)])
    body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "a-new-one"}}
    ClusterClient(kube.kubeconfig()).call("POST", "/api/v1/namespaces", body)
    kube.fail_next(status=410)
    assert sorted(begun + names_of(pages)) == sorted([*names, "a-new-one"])


@pytest.mark.case("W10")
def test_a_list_that_never_comes_to_its_end_is_a_failure(
    kube: ClusterDouble, cluster: Cluster
) -> None:
    kube.fail_next(status=410, times=3)
    with pytest.raises(UpstreamFailed, match="changed too fast"):
        list(cluster.list_pages(kinds.NAMESPACE))
    assert len(kube.requests) == 3


def with_token(kube: ClusterDouble, ends_in: timedelta | None) -> str:
    moment = datetime.now(UTC) + (ends_in or timedelta())
    claims = json.dumps({"exp": int(moment.timestamp())} if ends_in else {}).encode()
    token = f"e30.{base64.urlsafe_b64encode(claims).decode()}.c2ln"
    return kube.kubeconfig().replace(kube.token, token)


@pytest.mark.case("W7")
@pytest.mark.parametrize(
    ("ends_in", "told"),
    [
        (timedelta(days=-1), "The API's token for the cluster expired at 20"),
        (timedelta(minutes=-1), "The API's token for the cluster expired at 20"),
        (timedelta(days=1), "The cluster refuses the API's credentials."),
        (None, "The cluster refuses the API's credentials."),
    ],
)
def test_a_token_that_has_ended_is_told_as_the_cause_of_a_refusal(
    kube: ClusterDouble, ends_in: timedelta | None, told: str
) -> None:
    with pytest.raises(UpstreamFailed) as failure:
        open_cluster(with_token(kube, ends_in)).get(REF)
    assert failure.value.code == "cluster_auth"
    assert failure.value.message.startswith(told)
