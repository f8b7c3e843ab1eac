"""Whether an exposure works, link by link: from the name to a pod, each with what mends it."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, get_args

from chalicelib.domain.backends import find_port, is_inside, lacks_port
from chalicelib.domain.dns import Domain, Record
from chalicelib.domain.errors import LONGEST_ECHO
from chalicelib.domain.ingress_routes import build_route_spec
from chalicelib.domain.kube_json import condition_of, dig
from chalicelib.domain.model import Check, Exposure, JsonObject, Link
from chalicelib.domain.namespace import UID_LABEL, ClusterLayout, all_of_namespace
from chalicelib.domain.record_plan import build_record, plan_record

if TYPE_CHECKING:  # A cold start does not load what only mypy and the description read.
    from chalicelib.domain import shown

LINKS: Final = get_args(Link)
_NOT_CHECKED: Final = (
    "Not checked yet. GET /api/friends/<id>/namespace/expose?check=true checks it."
)


def check_exposure(  # noqa: PLR0913 - one argument for each thing that is looked at
    exposure: Exposure,
    domain: Domain | None,
    *,
    records: Sequence[Record],
    route: JsonObject | None,
    service: JsonObject | None,
    pods: Sequence[JsonObject],
    policy: JsonObject | None,
    layout: ClusterLayout,
) -> tuple[Check, ...]:
    """Return the links in the order in which a visitor's request passes them.

    domain is the exposure's, or None when it is not configured any more; records are those of the
    host name; pods are all of the namespace. Objects without the shape of their kind raise as
    kube_json says.
    """
    faults: dict[Link, str | None] = {
        "record": _record_fault(exposure, domain, records),
        "route": _route_fault(exposure, route),
        "service": _service_fault(exposure, service),
        "endpoints": _endpoints_fault(exposure, service, pods),
        "policy": _policy_fault(policy, layout),
    }
    return tuple(Check(name, fault is None, fault) for name, fault in faults.items())


def present_exposure(exposure: Exposure) -> "shown.Exposure":
    """Return an exposure as it is recorded."""
    return {
        "name": exposure.name,
        "hostname": exposure.hostname,
        "url": f"https://{exposure.hostname}",
        "service": exposure.service,
        "port": exposure.port,
        "domain": exposure.domain,
        "created_at": exposure.created_at,
    }


def present_checked(exposure: Exposure) -> "shown.CheckedExposure":
    """Return an exposure with its last recorded checks.

    Before the first check, no link is said to be in order.
    """
    checks = exposure.checks or tuple(Check(name, ok=False, message=_NOT_CHECKED) for name in LINKS)
    return {
        **present_exposure(exposure),
        "checks": [_present_check(each) for each in checks],
        "checked_at": exposure.checked_at,
    }


def _present_check(check: Check) -> "shown.Check":
    if check.message is None:
        return {"check": check.name, "ok": check.ok}
    return {"check": check.name, "ok": check.ok, "message": check.message}


def _record_fault(
    exposure: Exposure, domain: Domain | None, records: Sequence[Record]
) -> str | None:
    if domain is None:
        return "The domain is not configured any more; ask an admin to add it to DOMAINS again."
    plan = plan_record(records, build_record(exposure, domain), exposure.record_id)
    if plan.foreign:
        return (
            "The host name has a DNS record that is not the API's; ask an admin to remove it, or "
            "expose under another name."
        )
    if plan.create:
        return "There is no DNS record; send the expose request again."
    if not plan.is_settled:
        return "The DNS record does not say what it should; send the expose request again."
    return None


def _route_fault(exposure: Exposure, route: JsonObject | None) -> str | None:
    if route is None:
        return "There is no IngressRoute; send the expose request again."
    if (route["metadata"].get("labels") or {}).get(UID_LABEL) != exposure.uid:
        return (
            "The IngressRoute of this name is not the API's; ask an admin to remove it, and send "
            "the expose request again."
        )
    if not _leads_to(exposure, dig(route, "spec")):
        return (
            "The IngressRoute says something else, or more; send the expose request again, and if "
            "that does not help, ask an admin who else writes to it."
        )
    return None


def _leads_to(exposure: Exposure, spec: object) -> bool:
    """Tell whether the route is ours to the letter: a middleware or tls is another route."""
    return spec == build_route_spec(exposure)


def _service_fault(exposure: Exposure, service: JsonObject | None) -> str | None:
    name = exposure.service
    if service is None:
        return f"There is no Service {name}; apply it, or expose another one under this name."
    if not is_inside(service):
        return f"The Service {name} must be of type ClusterIP; apply it again as one."
    if find_port(service, exposure.port) is None:
        return f"The Service {name} {lacks_port(service, exposure.port)}"
    return None


def _endpoints_fault(
    exposure: Exposure, service: JsonObject | None, pods: Sequence[JsonObject]
) -> str | None:
    if service is None:
        return "Without the Service no pod can be reached; apply it first."
    selector = dig(service, "spec", "selector")
    if not selector:
        return "The Service has no selector; apply it again with the labels of your pods."
    chosen = [pod for pod in pods if _is_chosen(pod, selector)]
    if not chosen:
        return "No pod has the labels that the Service selects; apply a Deployment of such pods."
    ready = [pod for pod in chosen if condition_of(pod, "Ready").get("status") == "True"]
    if not ready:
        return (
            "None of the Service's pods is ready; GET /api/friends/<id>/namespace/status says why."
        )
    return _target_fault(find_port(service, exposure.port), ready)


def _is_chosen(pod: JsonObject, selector: JsonObject) -> bool:
    metadata = pod["metadata"]
    labels = metadata.get("labels") or {}
    return selector.items() <= labels.items() and not metadata.get("deletionTimestamp")


def _target_fault(port: JsonObject | None, pods: Sequence[JsonObject]) -> str | None:
    # A number is reached whether or not a container declares it; a name has to be somebody's.
    target = (port or {}).get("targetPort")
    if not isinstance(target, str) or any(target in _port_names(pod) for pod in pods):
        return None
    return (
        f"No container of the ready pods has a port named {target[:LONGEST_ECHO]}; name it in the "
        "Deployment, or have the Service's targetPort be the port's number."
    )


def _port_names(pod: JsonObject) -> set[str | None]:
    containers = dig(pod, "spec", "containers") or []
    return {port.get("name") for each in containers for port in each.get("ports") or []}


def _policy_fault(policy: JsonObject | None, layout: ClusterLayout) -> str | None:
    rules = dig(policy or {}, "spec", "ingress") or []
    peer = all_of_namespace(layout.ingress_namespace)
    if any(peer in (rule.get("from") or [peer]) and not rule.get("ports") for rule in rules):
        return None
    return (
        "The NetworkPolicy does not let the ingress controller in; "
        "POST /api/friends/<id>/namespace/provision repairs it."
    )
