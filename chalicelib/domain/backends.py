"""The Services behind exposures, as the cluster holds them."""

from chalicelib.domain.errors import LONGEST_ECHO, Conflict, Fault, NotFound
from chalicelib.domain.exposures import ExposeRequest
from chalicelib.domain.kube_json import dig
from chalicelib.domain.model import JsonObject


def require_port(service: JsonObject | None, wanted: ExposeRequest) -> None:
    """Raise NotFound without the wanted Service or port, and Conflict for one that leads elsewhere.

    service is the cluster's object of the wanted name, or None.
    """
    name, port = wanted.service, wanted.port
    if service is None:
        msg = (
            f"There is no Service {name} in the friend's namespace. Apply it first, or name "
            "another: GET /api/friends/<id>/namespace/status lists them."
        )
        raise NotFound(msg, code="service_not_found", faults=(Fault("/service", msg),))
    if not is_inside(service):
        msg = f"The Service {name} is not of type ClusterIP, so it cannot be exposed."
        raise Conflict(msg, code="service_not_exposable", faults=(Fault("/service", msg),))
    if find_port(service, port) is None:
        msg = f"The Service {name} {lacks_port(service, port)}"
        raise NotFound(msg, code="port_not_found", faults=(Fault("/port", msg),))


def is_inside(service: JsonObject) -> bool:
    """Tell whether the Service leads to pods beside it: an ExternalName leads anywhere."""
    return dig(service, "spec", "type") in {None, "ClusterIP"}


def find_port(service: JsonObject, port: object) -> JsonObject | None:
    """Return the Service's TCP port with this number, or this name. The web is TCP."""
    key = "name" if isinstance(port, str) else "port"
    return next((each for each in _tcp_ports(service) if each.get(key) == port), None)


def lacks_port(service: JsonObject, port: object) -> str:
    """Return the end of a sentence: that a Service lacks this port, and which ports it has."""
    listed = ", ".join(str(each.get("port")) for each in _tcp_ports(service)) or "none"
    return f"has no TCP port {str(port)[:LONGEST_ECHO]}; it has: {listed}."


def _tcp_ports(service: JsonObject) -> list[JsonObject]:
    ports = dig(service, "spec", "ports") or []
    return [each for each in ports if each.get("protocol", "TCP") == "TCP"]
