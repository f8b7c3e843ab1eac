"""What is said of each link from a visitor to a pod; a broken one says what to do."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from chalicelib.domain.checks import check_exposure, present_checked, present_exposure
from chalicelib.domain.ingress_routes import build_ingress_route
from chalicelib.domain.model import Check
from chalicelib.domain.namespace import NETWORK_POLICY_NAME, build_namespace_objects
from tests.exposures import HOST, create_domain, create_exposure, create_record
from tests.factories import create_friend, create_layout
from tests.manifests import create_service_manifest

LAYOUT = create_layout()
EXPOSURE = create_exposure(record_id="r1")


def create_pod(*, ready: bool = True, port_name: str | None = None, **metadata: Any) -> Any:
    port: dict[str, Any] = {"containerPort": 8080, **({"name": port_name} if port_name else {})}
    return {
        "metadata": {"name": "web-1", "labels": {"app": "web", "pod-template-hash": "x"}}
        | metadata,
        "spec": {"containers": [{"name": "web", "ports": [port]}, {"name": "sidecar"}]},
        "status": {"conditions": [{"type": "Ready", "status": "True" if ready else "False"}]},
    }


def create_policy(ingress: Any = None) -> Any:
    objects = build_namespace_objects(create_friend(), LAYOUT)
    policy: Any = next(each for each in objects if each["metadata"]["name"] == NETWORK_POLICY_NAME)
    return policy if ingress is None else policy | {"spec": policy["spec"] | {"ingress": ingress}}


def create_route(change: Callable[[Any], object] = lambda _: None) -> Any:
    route = build_ingress_route(create_friend(), EXPOSURE)
    change(route)
    return route


def check(**seen: Any) -> tuple[Check, ...]:
    """Return the checks of an exposure that works, but for what a test sets."""
    defaults: dict[str, Any] = {
        "domain": create_domain(),
        "records": [create_record()],
        "route": create_route(),
        "service": create_service_manifest(),
        "pods": [create_pod()],
        "policy": create_policy(),
        "layout": LAYOUT,
    }
    seen = {**defaults, **seen}
    return check_exposure(EXPOSURE, seen.pop("domain"), **seen)


def failing(checks: tuple[Check, ...]) -> dict[str, str]:
    return {each.name: each.message or "" for each in checks if not each.ok}


def test_an_exposure_that_works_passes_every_check_in_order() -> None:
    checks = check()
    assert [each.name for each in checks] == ["record", "route", "service", "endpoints", "policy"]
    assert all(each.ok and each.message is None for each in checks)


@pytest.mark.parametrize(
    ("seen", "says"),
    [
        ({"records": []}, "no DNS record"),
        ({"records": [create_record(content="old.net")]}, "does not say what it should"),
        ({"records": [create_record(), create_record("r2")]}, "does not say what it should"),
        ({"records": [create_record(comment="")]}, "not the API's"),
        (
            {"records": [create_record(), create_record("r2", type="TXT", comment="")]},
            "not the API",
        ),
        ({"domain": None}, "DOMAINS"),
    ],
)
def test_g07_the_record_is_ours_alone_and_says_what_it_should(seen: Any, says: str) -> None:
    faults = failing(check(**seen))
    assert list(faults) == ["record"]
    assert says in faults["record"]


def rule_of(route: Any) -> Any:
    return route["spec"]["routes"][0]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda route: rule_of(route).update(match="Host(`bank.example`)"), "something else"),
        (
            lambda route: rule_of(route).update(match=f"Host(`{HOST}`) || Host(`bank.example`)"),
            "something else",
        ),
        (lambda route: rule_of(route)["services"][0].update(name="other"), "something else"),
        (lambda route: rule_of(route)["services"][0].update(port=81), "something else"),
        (lambda route: rule_of(route)["services"][0].update(namespace="other"), "something else"),
        (lambda route: route["spec"]["routes"].append(rule_of(route)), "something else"),
        (lambda route: route.update(spec={}), "something else"),
        (lambda route: route["metadata"].update(labels={"friends-api/uid": "x"}), "not the API's"),
        (lambda route: route["metadata"].pop("labels"), "not the API's"),
    ],
)
def test_the_route_is_ours_and_leads_to_the_service(change: Any, says: str) -> None:
    faults = failing(check(route=create_route(change)))
    assert list(faults) == ["route"]
    assert says in faults["route"]


def test_a_route_that_is_not_there_is_made_by_a_repeat() -> None:
    assert failing(check(route=None)) == {
        "route": "There is no IngressRoute; send the expose request again."
    }


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ({"ports": [{"port": 81}, {"port": 443}]}, "no TCP port 80; it has: 81, 443"),
        ({"ports": [{"port": 80, "protocol": "UDP"}]}, "it has: none"),
        ({"type": "ExternalName"}, "ClusterIP"),
    ],
)
def test_g11_the_service_has_the_port_and_stays_inside(spec: Any, says: str) -> None:
    faults = failing(check(service=create_service_manifest(**spec)))
    assert list(faults) == ["service"]
    assert says in faults["service"]


def test_g10_without_the_service_no_pod_is_reached() -> None:
    assert list(failing(check(service=None))) == ["service", "endpoints"]


@pytest.mark.parametrize(
    ("pods", "says"),
    [
        ([], "No pod has the labels"),
        ([create_pod(labels={"app": "other"})], "No pod has the labels"),
        ([create_pod(labels=None)], "No pod has the labels"),
        ([create_pod(deletionTimestamp="2026-11-24T09:00:00Z")], "No pod has the labels"),
        ([create_pod(ready=False)], "status says why"),
    ],
)
def test_a_ready_pod_has_the_labels_that_the_service_selects(pods: Any, says: str) -> None:
    faults = failing(check(pods=pods))
    assert list(faults) == ["endpoints"]
    assert says in faults["endpoints"]


def test_one_ready_pod_is_enough() -> None:
    assert not failing(check(pods=[create_pod(ready=False), create_pod()]))


def test_a_service_without_a_selector_reaches_nothing() -> None:
    faults = failing(check(service=create_service_manifest(selector=None)))
    assert "no selector" in faults["endpoints"]


def test_a_named_target_port_is_some_containers() -> None:
    named = create_service_manifest(ports=[{"port": 80, "targetPort": "http"}])
    faults = failing(check(service=named))
    assert list(faults) == ["endpoints"]
    assert "a port named http" in faults["endpoints"]
    assert not failing(check(service=named, pods=[create_pod(), create_pod(port_name="http")]))


def test_a_numbered_target_port_need_not_be_declared() -> None:
    service = create_service_manifest(ports=[{"port": 80, "targetPort": 3000}])
    assert not failing(check(service=service))


@pytest.mark.parametrize(
    "policy",
    [
        None,
        create_policy([]),
        create_policy([{"from": [{"podSelector": {}}]}]),
        create_policy([{"from": [{"namespaceSelector": {"matchLabels": {"a": "b"}}}]}]),
        create_policy([create_policy()["spec"]["ingress"][0] | {"ports": [{"port": 9}]}]),
    ],
)
def test_the_policy_lets_the_ingress_controller_in(policy: Any) -> None:
    faults = failing(check(policy=policy))
    assert list(faults) == ["policy"]
    assert "provision" in faults["policy"]


def test_a_policy_that_lets_everybody_in_lets_the_ingress_controller_in() -> None:
    assert not failing(check(policy=create_policy([{}])))


def test_an_exposure_is_shown_with_its_url() -> None:
    assert present_exposure(EXPOSURE) == {
        "name": "my-app",
        "hostname": HOST,
        "url": f"https://{HOST}",
        "service": "web",
        "port": 80,
        "domain": "friends.example",
        "created_at": "2026-11-24T09:00:00.000000Z",
    }


def test_checks_are_shown_with_a_message_where_they_fail() -> None:
    looked = replace(EXPOSURE, checks=check(route=None), checked_at="2026-11-24T09:00:01.000000Z")
    shown = present_checked(looked)
    assert shown["checks"][0] == {"check": "record", "ok": True}
    assert shown["checks"][1]["check"] == "route"
    assert set(shown["checks"][1]) == {"check", "ok", "message"}
    assert shown["checked_at"] == "2026-11-24T09:00:01.000000Z"


@pytest.mark.case("H5")
def test_before_anybody_has_looked_no_link_is_said_to_be_in_order() -> None:
    shown = present_checked(EXPOSURE)
    assert shown["checked_at"] is None
    links = ["record", "route", "service", "endpoints", "policy"]
    assert [(each["check"], each["ok"]) for each in shown["checks"]] == [(e, False) for e in links]
    assert all("?check=true" in each["message"] for each in shown["checks"])
