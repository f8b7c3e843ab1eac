"""The kinds our Kubernetes double serves, the refusals it answers with, and where it keeps objects.

Everything else in the double speaks in these terms. Stored objects are never changed in place: a
write replaces the whole object, so that a reader needs neither a lock nor a copy.
"""

import json
import time
import uuid
from collections import defaultdict, deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, TypeAlias

# JSON of any shape: the schema of its kind says which.
Json: TypeAlias = Any
Obj: TypeAlias = dict[str, Json]

_REMEMBERED_CHANGES: Final = 5000


@dataclass(frozen=True, slots=True)
class Kind:
    """One served kind, at the one version that the double speaks."""

    name: str
    plural: str
    group: str = ""
    version: str = "v1"
    namespaced: bool = True
    short_names: tuple[str, ...] = ()
    custom: bool = False

    @property
    def api_version(self) -> str:
        """The value of a manifest's apiVersion."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def group_resource(self) -> str:
        """The name that messages give the resource, such as deployments.apps."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    @property
    def group_kind(self) -> str:
        """The name that messages give the kind, such as Deployment.apps."""
        return f"{self.name}.{self.group}" if self.group else self.name


_RBAC: Final = "rbac.authorization.k8s.io"

NAMESPACE: Final = Kind("Namespace", "namespaces", namespaced=False, short_names=("ns",))
NODE: Final = Kind("Node", "nodes", namespaced=False, short_names=("no",))
POD: Final = Kind("Pod", "pods", short_names=("po",))
SERVICE: Final = Kind("Service", "services", short_names=("svc",))
SERVICE_ACCOUNT: Final = Kind("ServiceAccount", "serviceaccounts", short_names=("sa",))
CONFIG_MAP: Final = Kind("ConfigMap", "configmaps", short_names=("cm",))
SECRET: Final = Kind("Secret", "secrets")
EVENT: Final = Kind("Event", "events", short_names=("ev",))
ENDPOINTS: Final = Kind("Endpoints", "endpoints", short_names=("ep",))
RESOURCE_QUOTA: Final = Kind("ResourceQuota", "resourcequotas", short_names=("quota",))
LIMIT_RANGE: Final = Kind("LimitRange", "limitranges", short_names=("limits",))
VOLUME_CLAIM: Final = Kind("PersistentVolumeClaim", "persistentvolumeclaims", short_names=("pvc",))
DEPLOYMENT: Final = Kind("Deployment", "deployments", "apps", short_names=("deploy",))
REPLICA_SET: Final = Kind("ReplicaSet", "replicasets", "apps", short_names=("rs",))
JOB: Final = Kind("Job", "jobs", "batch")
CRON_JOB: Final = Kind("CronJob", "cronjobs", "batch", short_names=("cj",))
ENDPOINT_SLICE: Final = Kind("EndpointSlice", "endpointslices", "discovery.k8s.io")
NETWORK_POLICY: Final = Kind(
    "NetworkPolicy", "networkpolicies", "networking.k8s.io", short_names=("netpol",)
)
ROLE_BINDING: Final = Kind("RoleBinding", "rolebindings", _RBAC)
CLUSTER_ROLE: Final = Kind("ClusterRole", "clusterroles", _RBAC, namespaced=False)
CLUSTER_ROLE_BINDING: Final = Kind(
    "ClusterRoleBinding", "clusterrolebindings", _RBAC, namespaced=False
)
INGRESS_ROUTE: Final = Kind("IngressRoute", "ingressroutes", "traefik.io", "v1alpha1", custom=True)

KINDS: Final = (
    NAMESPACE,
    NODE,
    POD,
    SERVICE,
    SERVICE_ACCOUNT,
    CONFIG_MAP,
    SECRET,
    EVENT,
    ENDPOINTS,
    RESOURCE_QUOTA,
    LIMIT_RANGE,
    VOLUME_CLAIM,
    DEPLOYMENT,
    REPLICA_SET,
    JOB,
    CRON_JOB,
    ENDPOINT_SLICE,
    NETWORK_POLICY,
    ROLE_BINDING,
    CLUSTER_ROLE,
    CLUSTER_ROLE_BINDING,
    INGRESS_ROUTE,
)
GROUPS: Final = {kind.group for kind in KINDS if kind.group}
GROUP_VERSIONS: Final = {kind.api_version for kind in KINDS}
KIND_BY_PLURAL: Final = {(kind.api_version, kind.plural): kind for kind in KINDS}


class Fault(NamedTuple):
    """One thing wrong with an object; reason is a Kubernetes cause such as FieldValueRequired."""

    field: str
    reason: str
    message: str


def required(field: str, detail: str = "") -> Fault:
    """Return the fault of a missing field."""
    message = f"Required value: {detail}" if detail else "Required value"
    return Fault(field, "FieldValueRequired", message)


def invalid_value(field: str, value: object, why: str) -> Fault:
    """Return the fault of a field with a wrong value, quoted as the API server quotes it."""
    shown = json.dumps(value, separators=(",", ":"))
    return Fault(field, "FieldValueInvalid", f"Invalid value: {shown}: {why}")


def unsupported(field: str, value: object, supported: list[str]) -> Fault:
    """Return the fault of a value outside an enumeration."""
    choices = ", ".join(json.dumps(choice) for choice in supported)
    message = f"Unsupported value: {json.dumps(value)}: supported values: {choices}"
    return Fault(field, "FieldValueNotSupported", message)


class Refused(Exception):
    """A refusal that becomes a Status object on the wire."""

    def __init__(
        self, code: int, reason: str, message: str, details: dict[str, object] | None = None
    ) -> None:
        """Keep what the Status says; details is left out of it when None."""
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.message = message
        self.details = details

    def status(self) -> Obj:
        """Return the Status object."""
        status: Obj = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": self.message,
        }
        if self.reason:
            status["reason"] = self.reason
        if self.details is not None:
            status["details"] = self.details
        return status | {"code": self.code}


def bad_request(message: str) -> Refused:
    """Refuse a request that cannot be understood."""
    return Refused(400, "BadRequest", message)


def not_found(kind: Kind, name: str) -> Refused:
    """Refuse a request for an object that does not exist."""
    message = f'{kind.group_resource} "{name}" not found'
    return Refused(404, "NotFound", message, _about(kind, name, kind.plural))


def already_exists(kind: Kind, name: str, *, terminating: bool = False) -> Refused:
    """Refuse a second object of one name."""
    prefix = "object is being deleted: " if terminating else ""
    message = f'{prefix}{kind.group_resource} "{name}" already exists'
    return Refused(409, "AlreadyExists", message, _about(kind, name, kind.plural))


def conflict(
    kind: Kind,
    name: str,
    why: str = "the object has been modified; please apply your changes"
    " to the latest version and try again",
) -> Refused:
    """Refuse a write that does not fit the object's present state."""
    message = f'Operation cannot be fulfilled on {kind.group_resource} "{name}": {why}'
    return Refused(409, "Conflict", message, _about(kind, name, kind.plural))


def forbidden(
    kind: Kind, name: str, why: str, causes: list[dict[str, str]] | None = None
) -> Refused:
    """Refuse by admission."""
    details = _about(kind, name, kind.plural)
    if causes:
        details["causes"] = causes
    message = f'{kind.group_resource} "{name}" is forbidden: {why}'
    return Refused(403, "Forbidden", message, details)


def invalid(kind: Kind, name: str, faults: list[Fault]) -> Refused:
    """Refuse by validation."""
    texts = [f"{fault.field}: {fault.message}" for fault in faults]
    text = texts[0] if len(texts) == 1 else f"[{', '.join(texts)}]"
    causes = [
        {"reason": fault.reason, "message": fault.message, "field": fault.field} for fault in faults
    ]
    details = _about(kind, name, kind.name) | {"causes": causes}
    return Refused(422, "Invalid", f'{kind.group_kind} "{name}" is invalid: {text}', details)


def _about(kind: Kind, name: str, called: str) -> dict[str, object]:
    about: dict[str, object] = {"name": name} if name else {}
    if kind.group:
        about["group"] = kind.group
    return about | {"kind": called}


def timestamp(seconds: float | None = None) -> str:
    """Return a time as Kubernetes writes it, in whole seconds; None is now."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def owner_reference(kind: Kind, owner: Obj) -> Obj:
    """Return the reference by which a controlled object names its owner."""
    return {
        "apiVersion": kind.api_version,
        "kind": kind.name,
        "name": owner["metadata"]["name"],
        "uid": owner["metadata"]["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }


class Change(NamedTuple):
    """One write, for those who watch: what is ADDED, MODIFIED or DELETED.

    before is the object that it replaced or removed.
    """

    revision: int
    what: str
    kind: Kind
    object: Obj
    before: Obj | None = None


class Store:
    """Objects by kind, namespace and name, under one rising revision."""

    def __init__(self) -> None:
        """Start empty."""
        self.revision = 1
        self.changes: deque[Change] = deque(maxlen=_REMEMBERED_CHANGES)
        self._objects: dict[Kind, dict[str, dict[str, Obj]]] = defaultdict(dict)

    def save(self) -> Callable[[], None]:
        """Return a function that brings the objects back as they are now, and their revision."""
        revision = self.revision
        saved = {
            kind: {namespace: dict(group) for namespace, group in groups.items()}
            for kind, groups in self._objects.items()
        }

        def restore() -> None:
            self.revision = revision
            self.changes.clear()
            self._objects.clear()
            for kind, groups in saved.items():
                self._objects[kind] = {name: dict(group) for name, group in groups.items()}

        return restore

    def get(self, kind: Kind, namespace: str, name: str) -> Obj | None:
        """Return an object; a cluster-scoped one has the namespace "". Do not change it."""
        return self._objects[kind].get(namespace, {}).get(name)

    def list(self, kind: Kind, namespace: str = "") -> list[Obj]:
        """Return the objects of one namespace, or of all, in the order of their keys."""
        groups = self._objects[kind]
        if namespace or not kind.namespaced:
            found = groups.get(namespace, {}).values()
            return sorted(found, key=object_key)
        return sorted((obj for group in groups.values() for obj in group.values()), key=object_key)

    def read_at(self, revision: int, kind: Kind, namespace: str = "") -> Sequence[Obj] | None:
        """Return what list returned at an earlier revision, or None where that is forgotten."""
        if self.changes and self.changes[0].revision > revision + 1:
            return None
        found = {object_key(obj): obj for obj in self.list(kind, namespace)}
        for change in reversed(self.changes):
            if change.revision <= revision:
                break
            inside = namespace in {"", change.object["metadata"].get("namespace", "")}
            if change.kind == kind and inside:
                found.pop(object_key(change.object), None)
                if change.before is not None:
                    found[object_key(change.object)] = change.before
        return [found[key] for key in sorted(found)]

    def put(self, kind: Kind, obj: Obj) -> Obj:
        """Store the object under the next revision and return it."""
        self.revision += 1
        metadata = {
            "uid": str(uuid.uuid4()),
            "creationTimestamp": timestamp(),
            **obj["metadata"],
            "resourceVersion": str(self.revision),
        }
        stored = {**obj, "metadata": metadata}
        group = self._objects[kind].setdefault(metadata.get("namespace", ""), {})
        before = group.get(metadata["name"])
        group[metadata["name"]] = stored
        what = "MODIFIED" if before else "ADDED"
        self.changes.append(Change(self.revision, what, kind, stored, before))
        return stored

    def remove(self, kind: Kind, obj: Obj) -> None:
        """Forget the object, if it is still there."""
        metadata = obj["metadata"]
        group = self._objects[kind].get(metadata.get("namespace", ""), {})
        if group.pop(metadata["name"], None) is not None:
            self.revision += 1
            self.changes.append(Change(self.revision, "DELETED", kind, obj, obj))

    def remove_contents(self, namespace: str) -> Iterator[tuple[Kind, Obj]]:
        """Forget what is in the namespace; yield what finalizers hold, which stays."""
        for kind in KINDS:
            if kind.namespaced:
                for obj in self.list(kind, namespace):
                    if obj["metadata"].get("finalizers"):
                        yield kind, obj
                    else:
                        self.remove(kind, obj)

    def is_empty(self, namespace: str) -> bool:
        """Tell whether nothing is in the namespace."""
        return not any(
            groups.get(namespace) for kind, groups in self._objects.items() if kind.namespaced
        )


def object_key(obj: Obj) -> str:
    """Return what a list is ordered by."""
    metadata = obj["metadata"]
    return f"{metadata.get('namespace', '')}/{metadata['name']}"


def owned_by(objects: list[Obj], owner: Obj) -> list[Obj]:
    """Return those of the objects that the owner controls."""
    uid = owner["metadata"]["uid"]
    return [
        obj
        for obj in objects
        if any(ref["uid"] == uid for ref in obj["metadata"].get("ownerReferences", ()))
    ]
