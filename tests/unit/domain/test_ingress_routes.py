"""Routes: built from what is valid, read back, and judged by the Services they lead to."""

from typing import Any

import pytest

from chalicelib.domain.ingress_routes import build_ingress_route, match_host, route_problem
from chalicelib.domain.kinds import INGRESS_ROUTE, ref_of
from chalicelib.domain.namespace import DIGEST_ANNOTATION
from chalicelib.domain.summaries import summarise_ingress_route
from tests.exposures import HOST, create_exposure
from tests.factories import create_friend
from tests.manifests import create_service_manifest

FRIEND = create_friend()


def build(**fields: Any) -> dict[str, Any]:
    return build_ingress_route(FRIEND, create_exposure(**fields))


def test_a_route_leads_a_host_name_to_a_service_of_its_own_namespace() -> None:
    route = build()
    ref = ref_of(route)
    assert (ref.kind, ref.name, ref.namespace) == (INGRESS_ROUTE, "expose-my-app", "friend-alice")
    assert route["spec"]["entryPoints"] == ["web", "websecure"]
    assert route["spec"]["routes"] == [
        {
            "kind": "Rule",
            "match": f"Host(`{HOST}`)",
            "services": [{"kind": "Service", "name": "web", "port": 80}],
        }
    ]


def test_a_route_says_whose_it_is_as_every_object_does() -> None:
    metadata = build()["metadata"]
    assert metadata["labels"]["friends-api/uid"] == FRIEND.uid
    assert metadata["labels"]["app.kubernetes.io/managed-by"] == "friends-api"
    assert metadata["annotations"][DIGEST_ANNOTATION] != build(port=81)["metadata"]["annotations"]


def test_g05_g06_nothing_is_built_from_a_row_that_breaks_the_rules() -> None:
    for fields in ({"service": "api@internal"}, {"hostname": "a`) || Host(`b"}, {"port": "80"}):
        with pytest.raises(ValueError, match="breaks the rules"):
            build(**fields)


@pytest.mark.parametrize("fields", [{"uid": "0" * 32}, {"friend_id": "bob"}])
def test_h06_nothing_is_built_from_another_friends_row(fields: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="another friend's"):
        build(**fields)


@pytest.mark.parametrize(
    ("rule", "host"),
    [
        (f"Host(`{HOST}`)", HOST),
        (f"Host(`{HOST}`) && PathPrefix(`/x`)", HOST),
        ("PathPrefix(`/`)", None),
        ("Host(``)", None),
        ("", None),
    ],
)
def test_a_rule_names_a_host(rule: str, host: str | None) -> None:
    assert match_host(rule) == host


def test_the_summary_reads_back_what_is_built() -> None:
    line = summarise_ingress_route(build())
    assert line == {"name": "expose-my-app", "hostname": HOST, "service": "web"}


def test_a_route_to_a_service_with_the_port_is_no_problem() -> None:
    assert route_problem(build(), [create_service_manifest()]) is None


def test_g10_a_route_whose_service_is_gone_is_a_problem() -> None:
    problem = route_problem(build(), [create_service_manifest("other")])
    assert problem == "The Service web is not there: apply it, or delete the exposure."


def test_g10_a_route_whose_port_is_gone_is_a_problem() -> None:
    problem = route_problem(build(port=81), [create_service_manifest()])
    assert problem == "The Service web has no TCP port 81; it has: 80."


def test_g11_a_route_that_leads_out_of_the_namespace_is_a_problem() -> None:
    outside = create_service_manifest(type="ExternalName", externalName="example.org")
    problem = route_problem(build(), [outside])
    assert problem == "The Service web is not of type ClusterIP: it leads elsewhere."


@pytest.mark.parametrize(
    "backend",
    [
        {"kind": "TraefikService", "name": "mirror"},
        {"name": "web", "namespace": "elsewhere"},
        {"name": "web", "port": "http"},
        {"name": "web", "port": 80, "namespace": "friend-alice"},
    ],
)
def test_of_a_route_of_others_only_what_is_here_is_judged(backend: dict[str, Any]) -> None:
    route = build()
    route["spec"]["routes"][0]["services"] = [backend]
    service = create_service_manifest(ports=[{"name": "http", "port": 80}])
    assert route_problem(route, [service]) is None


def test_every_backend_counts_and_a_long_name_is_cut() -> None:
    route = build()
    route["spec"]["routes"].append({"match": "x", "services": [{"name": "n" * 200, "port": 80}]})
    problem = route_problem(route, [create_service_manifest()])
    assert problem is not None
    assert "n" * 60 in problem
    assert "n" * 65 not in problem


def test_a_route_without_rules_is_no_problem_of_a_service() -> None:
    assert route_problem(build() | {"spec": {}}, []) is None
