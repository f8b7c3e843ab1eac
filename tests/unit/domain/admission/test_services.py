"""What a friend's Service may be: nothing that leads out of the namespace."""

from functools import partial
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chalicelib.domain.admission.service_ports import MOST_PORTS
from chalicelib.domain.admission.services import check_service
from tests.manifests import create_service_manifest
from tests.unit.domain.admission import rules

assert_refused = partial(rules.assert_refused, check_service)
assert_mended = partial(rules.assert_refused_and_mended, check_service)
faults_of = partial(rules.faults_of, check_service)

TWO_PORTS: list[dict[str, Any]] = [{"name": "http", "port": 80}, {"name": "dns", "port": 53}]


def with_port(**port: Any) -> dict[str, Any]:
    return create_service_manifest(ports=[{"port": 80, **port}])


@pytest.mark.parametrize(
    "spec",
    [
        {},
        {"type": "ClusterIP"},
        {"clusterIP": "None"},
        {"clusterIP": "None", "clusterIPs": ["None"], "ports": None},
        {"sessionAffinity": "ClientIP"},
        {
            "sessionAffinity": "ClientIP",
            "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 86_400}},
        },
        {"internalTrafficPolicy": "Cluster", "publishNotReadyAddresses": False},
        {"ports": TWO_PORTS},
        {"ports": [{**TWO_PORTS[1], "protocol": "UDP"}, {"name": "tcp", "port": 53}]},
        {"ports": [{"port": 65_535, "targetPort": "http", "protocol": "UDP"}]},
        {"ports": [{"name": f"p{n}", "port": n + 1} for n in range(MOST_PORTS)]},
    ],
)
def test_a_usual_service_is_admitted(spec: dict[str, Any]) -> None:
    assert faults_of(create_service_manifest(**spec)) == ()


@pytest.mark.parametrize("name", ["NodePort", "LoadBalancer", "ExternalName", "clusterip", ""])
def test_c01_a_service_has_an_address_inside_the_cluster_only(name: str) -> None:
    assert_mended(create_service_manifest(type=name), "/spec/type")


def test_c01_a_service_leads_to_no_other_name() -> None:
    manifest = create_service_manifest(externalName="metadata.google.internal")
    assert_mended(manifest, "/spec/externalName")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("externalIPs", ["8.8.8.8"]),
        ("externalIPs", []),
        ("loadBalancerIP", "10.0.0.1"),
        ("loadBalancerSourceRanges", ["0.0.0.0/0"]),
        ("loadBalancerClass", "example.com/own"),
        ("allocateLoadBalancerNodePorts", False),
        ("healthCheckNodePort", 30_000),
        ("externalTrafficPolicy", "Local"),
        ("internalTrafficPolicy", "Local"),
        ("trafficDistribution", "PreferClose"),
        ("publishNotReadyAddresses", True),
        ("clusterIP", "10.0.0.1"),
        ("clusterIP", ""),
        ("clusterIPs", ["10.0.0.1"]),
        ("clusterIPs", ["None"]),
        ("sessionAffinity", "Cookie"),
        ("sessionAffinityConfig", {"clientIP": {"timeoutSeconds": 10}}),
    ],
)
def test_c02_what_would_reach_further_is_refused(name: str, value: Any) -> None:
    assert_mended(create_service_manifest(**{name: value}), f"/spec/{name}")


def test_c02_a_port_of_a_node_is_refused() -> None:
    assert_mended(with_port(nodePort=30_080), "/spec/ports/0/nodePort")


@pytest.mark.parametrize("seconds", [0, -1, 86_401, 10**9])
def test_c02_an_affinity_lasts_a_day_at_most(seconds: int) -> None:
    manifest = create_service_manifest(
        sessionAffinity="ClientIP",
        sessionAffinityConfig={"clientIP": {"timeoutSeconds": seconds}},
    )
    assert_mended(manifest, "/spec/sessionAffinityConfig/clientIP/timeoutSeconds")


@pytest.mark.parametrize("selector", [None, {}])
def test_c03_a_service_selects_pods(selector: Any) -> None:
    assert_refused(create_service_manifest(selector=selector), "/spec/selector")


def test_c03_a_service_has_a_spec() -> None:
    assert_refused({"kind": "Service"}, "/spec")


def test_a12_a_reserved_label_selects_nothing() -> None:
    manifest = create_service_manifest(selector={"friends-api/uid": "x"})
    assert_refused(manifest, "/spec/selector/friends-api~1uid")


@pytest.mark.parametrize("ports", [None, []])
def test_a_service_with_an_address_has_a_port(ports: Any) -> None:
    assert_refused(create_service_manifest(ports=ports), "/spec/ports")


def test_a_service_has_twenty_ports_at_most() -> None:
    ports = [{"name": f"p{n}", "port": n + 1} for n in range(MOST_PORTS + 1)]
    assert_refused(create_service_manifest(ports=ports), "/spec/ports")


@pytest.mark.parametrize("port", [{}, {"port": 0}, {"port": -1}, {"port": 65_536}])
def test_a_port_is_in_range(port: dict[str, Any]) -> None:
    assert_refused(create_service_manifest(ports=[port]), "/spec/ports/0/port")


@pytest.mark.parametrize("target", [0, -1, 65_536, "0", "65536", "a" * 16, "a--b", "-a", "A", ""])
def test_a_target_is_a_port_or_the_name_of_one(target: Any) -> None:
    assert_refused(with_port(targetPort=target), "/spec/ports/0/targetPort")


def test_a_target_in_quotes_is_meant_as_a_number() -> None:
    assert_mended(with_port(targetPort="8080"), "/spec/ports/0/targetPort")


@pytest.mark.parametrize("protocol", ["SCTP", "tcp", ""])
def test_a_protocol_is_tcp_or_udp(protocol: str) -> None:
    assert_refused(with_port(protocol=protocol), "/spec/ports/0/protocol")


def test_several_ports_have_names() -> None:
    manifest = create_service_manifest(ports=[{"port": 53, "protocol": "UDP"}, TWO_PORTS[0]])
    assert_mended(manifest, "/spec/ports/0/name")


def test_a_name_that_is_taken_is_not_offered() -> None:
    manifest = create_service_manifest(ports=[{"port": 80}, {"name": "tcp-80", "port": 81}])
    assert_refused(manifest, "/spec/ports/0/name")


@pytest.mark.parametrize("name", ["HTTP", "a_b", "-a", "a" * 64])
def test_the_name_of_a_port_is_a_label(name: str) -> None:
    assert_refused(with_port(name=name), "/spec/ports/0/name")


def test_names_of_ports_are_unique() -> None:
    manifest = create_service_manifest(ports=[{"name": "a", "port": 1}, {"name": "a", "port": 2}])
    assert [fault.path for fault in faults_of(manifest)] == [
        "/0/spec/ports/0/name",
        "/0/spec/ports/1/name",
    ]


def test_ports_are_unique() -> None:
    ports = [{"name": "a", "port": 1}, {"name": "b", "port": 1, "protocol": "TCP"}]
    assert_refused(create_service_manifest(ports=ports), "/spec/ports/1")


PORTS = st.fixed_dictionaries(
    {},
    optional={
        "port": st.integers(-1, 3) | st.just(80),
        "protocol": st.sampled_from(["TCP", "UDP", "SCTP", "x" * 99]),
        "name": st.sampled_from(["", "a", "tcp-80", "A"]),
        "targetPort": st.sampled_from(["80", "web", "", 0, 80, "99999"]),
        "nodePort": st.integers(0, 1),
    },
)
SPECS = st.fixed_dictionaries(
    {},
    optional={
        "type": st.sampled_from(["ClusterIP", "NodePort"]),
        "clusterIP": st.sampled_from(["None", "10.0.0.1"]),
        "clusterIPs": st.sampled_from([["None"], ["10.0.0.1"]]),
        "externalIPs": st.just([]),
        "sessionAffinity": st.sampled_from(["None", "ClientIP", "x"]),
        "sessionAffinityConfig": st.sampled_from([{}, {"clientIP": {"timeoutSeconds": 0}}]),
        "selector": st.sampled_from([{}, {"app": "a"}]),
        "ports": st.lists(PORTS, max_size=3),
    },
)


@settings(deadline=None)  # a slow machine is no fault
@given(SPECS)
def test_fixes_hold_together(spec: dict[str, Any]) -> None:
    rules.assert_fixes_hold(check_service, {"spec": spec})
