"""What a friend's Service may be: a name inside the cluster for pods of the same namespace.

Everything that would open a port of a node, order a load balancer, take over an address
(CVE-2020-8554) or lead somewhere else by name is refused. Out into the world goes what is exposed.
"""

from typing import Final

from chalicelib.domain.admission.bounds import Choice, Range, check_choice, check_ranges
from chalicelib.domain.admission.metadata import check_labels
from chalicelib.domain.admission.report import Report, add, child, remove
from chalicelib.domain.admission.service_ports import INSIDE_ONLY, check_ports
from chalicelib.domain.model import JsonObject

_HEADLESS: Final = "None"
_TIMEOUT: Final = {"timeoutSeconds": Range(1, 86_400)}
_AFFINITIES: Final = Choice(("None", "ClientIP"))

# Fields that a friend's Service never needs, and why.
_REFUSED: Final = {
    "externalName": "a Service may not lead to another name.",
    "externalIPs": "a Service may not take over an address.",
    "loadBalancerIP": INSIDE_ONLY,
    "loadBalancerSourceRanges": INSIDE_ONLY,
    "loadBalancerClass": INSIDE_ONLY,
    "allocateLoadBalancerNodePorts": INSIDE_ONLY,
    "healthCheckNodePort": INSIDE_ONLY,
    "externalTrafficPolicy": INSIDE_ONLY,
    "trafficDistribution": "traffic goes to every pod alike.",
}


def check_service(service: JsonObject, at: str, report: Report) -> None:
    """Refuse a Service that leads out of the namespace, or that nothing could reach."""
    at, spec = child(at, "spec"), service.get("spec")
    if spec is None:
        report.refuse(at, "spec is required: a selector and ports.")
        return
    _check_type(spec, at, report)
    _check_selector(spec, at, report)
    _check_address(spec, at, report)
    _check_traffic(spec, at, report)
    ports, at = spec.get("ports", ()), child(at, "ports")
    if not ports and spec.get("clusterIP") != _HEADLESS:
        report.refuse(at, "ports is required: one port at least.")
    check_ports(ports, at, report)


def _check_type(spec: JsonObject, at: str, report: Report) -> None:
    if spec.get("type", "ClusterIP") != "ClusterIP":
        pointer = child(at, "type")
        report.refuse(pointer, f"type must be ClusterIP: {INSIDE_ONLY}", add(pointer, "ClusterIP"))
    for name, why in _REFUSED.items():
        if name in spec:
            pointer = child(at, name)
            report.refuse(pointer, f"{name} cannot be set: {why}", remove(pointer))


def _check_selector(spec: JsonObject, at: str, report: Report) -> None:
    selector, pointer = spec.get("selector"), child(at, "selector")
    if selector:
        check_labels(selector, pointer, report)
    else:
        report.refuse(pointer, "selector is required: labels of the pods that get the traffic.")


def _check_address(spec: JsonObject, at: str, report: Report) -> None:
    headless = spec.get("clusterIP") == _HEADLESS
    if "clusterIP" in spec and not headless:
        pointer = child(at, "clusterIP")
        message = "clusterIP must be absent, or None for a headless Service: the cluster chooses."
        report.refuse(pointer, message, remove(pointer))
    if "clusterIPs" in spec and not (headless and spec["clusterIPs"] == [_HEADLESS]):
        pointer = child(at, "clusterIPs")
        report.refuse(pointer, "clusterIPs must be absent: the cluster chooses.", remove(pointer))


def _check_traffic(spec: JsonObject, at: str, report: Report) -> None:
    if spec.get("internalTrafficPolicy", "Cluster") != "Cluster":
        pointer = child(at, "internalTrafficPolicy")
        report.refuse(pointer, "internalTrafficPolicy must be Cluster.", add(pointer, "Cluster"))
    if spec.get("publishNotReadyAddresses"):
        pointer = child(at, "publishNotReadyAddresses")
        message = "publishNotReadyAddresses must be false: traffic goes to pods that are ready."
        report.refuse(pointer, message, add(pointer, value=False))
    affinity = check_choice(spec, "sessionAffinity", _AFFINITIES, at, report)
    config, pointer = spec.get("sessionAffinityConfig"), child(at, "sessionAffinityConfig")
    if config is not None and affinity != "ClientIP":
        message = "sessionAffinityConfig must be absent unless sessionAffinity is ClientIP."
        report.refuse(pointer, message, remove(pointer))
    elif config:
        check_ranges(config.get("clientIP", {}), _TIMEOUT, child(pointer, "clientIP"), report)
