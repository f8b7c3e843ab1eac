"""The verbs of the Kubernetes API on the double's objects: decode, default, admit, validate, store.

The order of the steps is the real server's, because it decides which of several faults a caller is
told of: the namespace first, then the schema, then validation, then policy, and quota last.
"""

import math
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from infra.local import kube_objects as kinds
from infra.local.kube_admission import (
    check_limits,
    check_pod_security,
    check_quota,
    default_resources,
    pod_security_warning,
)
from infra.local.kube_apply import (
    Manager,
    check_typed,
    dated,
    field_paths,
    merge,
    plan_apply,
    record_update,
    with_owners,
)
from infra.local.kube_controllers import (
    NODE_NAME,
    Controllers,
    Schedule,
    Timing,
    random_suffix,
)
from infra.local.kube_defaults import with_defaults
from infra.local.kube_objects import (
    Json,
    Kind,
    Obj,
    Store,
    already_exists,
    bad_request,
    conflict,
    forbidden,
    invalid,
    invalid_value,
    not_found,
    owned_by,
    required,
    timestamp,
    unsupported,
)
from infra.local.kube_quantities import MALFORMED
from infra.local.kube_schema import (
    SCHEMAS,
    Problem,
    decoding_path,
    find_problems,
    normalize,
    strip,
    tidy,
)
from infra.local.kube_validation import check_valid

# How soon a namespace that is held by finalizers is looked at again.
_LOOK_AGAIN_SECONDS: Final = 0.05
_FIRST_NAMESPACES: Final = ("default", "kube-node-lease", "kube-public", "kube-system")
_COUNTS_GENERATIONS: Final = frozenset(
    {
        kinds.POD,
        kinds.DEPLOYMENT,
        kinds.REPLICA_SET,
        kinds.JOB,
        kinds.CRON_JOB,
        kinds.NETWORK_POLICY,
        kinds.INGRESS_ROUTE,
    }
)
# These answer a deletion with what was deleted, the others with a Status.
_RETURNED_WHEN_DELETED: Final = frozenset(
    {
        kinds.NAMESPACE,
        kinds.POD,
        kinds.SERVICE,
        kinds.SERVICE_ACCOUNT,
        kinds.RESOURCE_QUOTA,
        kinds.VOLUME_CLAIM,
    }
)
_SERVER_METADATA: Final = (
    "uid",
    "creationTimestamp",
    "generation",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "managedFields",
)


@dataclass(frozen=True)
class Call:
    """What a write says beside its object. manager is who writes, for field ownership."""

    kind: Kind
    namespace: str = ""
    name: str = ""
    manager: str = "unknown"
    force: bool = False
    dry_run: bool = False
    validation: str = "Warn"
    warnings: list[str] = field(default_factory=list)

    @classmethod
    def from_query(
        cls, kind: Kind, namespace: str, name: str, query: Mapping[str, str], agent: str
    ) -> "Call":
        """Read the options of a write. Raises Refused (422) for options that do not exist."""
        for option, allowed in (("dryRun", ["All"]), ("fieldValidation", _VALIDATIONS)):
            value = query.get(option)
            if value and value not in allowed:
                options = Kind("PatchOptions", "patchoptions", "meta.k8s.io")
                raise invalid(options, "", [unsupported(option, value, allowed)])
        return cls(
            kind,
            namespace,
            name,
            manager=query.get("fieldManager") or agent.partition("/")[0] or "unknown",
            force=query.get("force") in {"true", "1"},
            dry_run=query.get("dryRun") == "All",
            validation=query.get("fieldValidation") or "Warn",
        )


_VALIDATIONS: Final = ["Ignore", "Strict", "Warn"]


class KubeApi:
    """A cluster's objects behind the API's verbs. Not safe for threads: its caller holds a lock."""

    def __init__(self, timing: Timing) -> None:
        """Start with an empty cluster of one node. timing may be changed at any time."""
        self.timing = timing
        self.reset()

    def reset(self) -> None:
        """Forget everything and start over."""
        self.store = Store()
        self.schedule = Schedule()
        self.controllers = Controllers(self.store, self.schedule, self.timing, self._create_pod)
        self.store.put(kinds.NODE, {"metadata": {"name": NODE_NAME}, "spec": {}, "status": _NODE})
        for name in _FIRST_NAMESPACES:
            namespace = with_defaults(kinds.NAMESPACE, {"metadata": {"name": name}})
            self._furnish(self.store.put(kinds.NAMESPACE, namespace))

    def save(self) -> Callable[[], None]:
        """Return a function that brings everything back as it is now; nothing may be due."""
        self.schedule.run_due()
        restore_objects = self.store.save()

        def restore() -> None:
            restore_objects()
            self.schedule.clear()

        return restore

    def get(self, kind: Kind, namespace: str, name: str) -> Obj:
        """Return an object. Raises Refused (404)."""
        found = self.store.get(kind, namespace, name)
        if found is None:
            raise not_found(kind, name)
        return found

    def create(self, call: Call, body: Obj) -> Obj:
        """Create an object; its name may be generated."""
        obj = self._decode(call, body)
        metadata = obj["metadata"]
        if not metadata.get("name") and metadata.get("generateName"):
            metadata["name"] = metadata["generateName"] + random_suffix()
        new = self._prepare_new(call, obj)
        return self._store_new(call, record_update(None, new, call.kind, call.manager))

    def apply(self, call: Call, body: Obj) -> tuple[Obj, bool]:
        """Apply a configuration; return the object and whether it was created."""
        if not isinstance(body.get("metadata") or {}, dict):
            check_typed(body, call.kind)
        self._check_identity(call, body, typed=True)
        check_typed(body, call.kind)
        if body["metadata"].get("managedFields"):
            message = "metadata.managedFields must be nil"
            raise bad_request(message)
        # Quantities stay as they are spelled: another spelling is another value to other managers.
        applied = self._addressed(call, strip(body, call.kind))
        live = self.store.get(call.kind, call.namespace, call.name)
        uid = applied["metadata"].get("uid")
        if live is None:
            if uid:
                why = "uid mismatch: the provided object specified uid"
                why = f"{why} {uid}, and no existing object was found"
                raise conflict(call.kind, call.name, why)
            owners = {Manager(call.manager, "Apply"): field_paths(applied, SCHEMAS[call.kind])}
            new = self._prepare_new(call, applied)
            return self._store_new(call, with_owners(new, owners, {}, call.kind)), True
        wanted = {name: each for name, each in applied["metadata"].items() if name != "uid"}
        self._check_preconditions(call, wanted, live)
        new = plan_apply(live, applied, call.kind, call.manager, force=call.force)
        if uid and uid != live["metadata"]["uid"]:
            fault = invalid_value("metadata.uid", uid, "field is immutable")
            raise invalid(call.kind, call.name, [fault])
        return self._store_changed(call, new, live, applier=call.manager), False

    def replace(self, call: Call, body: Obj) -> Obj:
        """Replace an object by one of the same name."""
        self._check_identity(call, body, typed=False)
        new = self._decode(call, body)
        live = self.get(call.kind, call.namespace, call.name)
        if call.kind.custom and not new["metadata"].get("resourceVersion"):
            fault = invalid_value("metadata.resourceVersion", 0, "must be specified for an update")
            raise invalid(call.kind, call.name, [fault])
        return self._update(call, new, live)

    def patch(self, call: Call, body: Obj, *, strategic: bool) -> Obj:
        """Merge a patch into an object; a strategic one merges keyed lists by their keys."""
        live = self.get(call.kind, call.namespace, call.name)
        merged = _merge_patch(live, body)
        if strategic:
            merged = _drop_nulls(merge(live, body, SCHEMAS[call.kind]))
        return self._update(call, self._decode(call, merged), live)

    def delete(self, call: Call, options: Obj) -> Obj:
        """Delete an object; return what the answer says. A namespace ends later."""
        live = self.get(call.kind, call.namespace, call.name)
        self._check_preconditions(call, options.get("preconditions") or {}, live)
        if call.dry_run:
            return _deleted(call.kind, live)
        if call.kind == kinds.NAMESPACE:
            return self._terminate(live)
        policy = options.get("propagationPolicy")
        # Only Jobs orphan by default: kubernetes.io/docs/concepts/workloads/controllers/job.
        if policy == "Orphan" or (policy is None and call.kind == kinds.JOB):
            self._orphan(live)
        if live["metadata"].get("finalizers"):
            return self._hold(call.kind, live)
        self.store.remove(call.kind, live)
        self._settle(call)
        return _deleted(call.kind, live)

    def _hold(self, kind: Kind, live: Obj) -> Obj:
        """Mark an object as being deleted: it stays until nobody's finalizer holds it."""
        if "deletionTimestamp" in live["metadata"]:
            return live
        marks = {"deletionTimestamp": timestamp(), "deletionGracePeriodSeconds": 0}
        return self.store.put(kind, {**live, "metadata": {**live["metadata"], **marks}})

    def _decode(self, call: Call, body: Obj) -> Obj:
        """Return the object as typed code would read it, or refuse (400) what it could not."""
        kind = call.kind
        said = body.get("kind") or kind.name
        version = body.get("apiVersion") or kind.api_version
        if said != kind.name:
            # Two kinds of one group are told apart by conversion, in these words.
            message = (
                f'{said} in version "{version.rpartition("/")[2]}" cannot be handled as a'
                f" {kind.name}: converting (v1.{said}) to (core.{kind.name}): unknown conversion"
            )
            raise bad_request(message)
        if version != kind.api_version:
            message = (
                f"the API version in the data ({version}) does not match the expected API version"
                f" ({kind.api_version})"
            )
            raise bad_request(message)
        self._check_fields(call, body)
        return self._addressed(call, normalize(body, kind))

    def _check_fields(self, call: Call, body: Obj) -> None:
        kind = call.kind
        problems = list(find_problems(body, SCHEMAS[kind]))
        wrong = next((problem for problem in problems if problem.wanted), None)
        prefix = f'{kind.name} in version "{kind.version}" cannot be handled as a {kind.name}: '
        if wrong is not None:
            raise bad_request(prefix + _decoding_text(kind, wrong))
        unknown = [f'unknown field "{decoding_path(problem.path)}"' for problem in problems]
        if unknown and call.validation == "Strict":
            raise bad_request(f"{prefix}strict decoding error: {', '.join(unknown)}")
        if call.validation == "Warn":
            call.warnings.extend(unknown)

    def _addressed(self, call: Call, obj: Obj) -> Obj:
        """Return the object without its type, with the namespace that the path gives it."""
        metadata = dict(obj.get("metadata") or {})
        if call.kind.namespaced:
            if metadata.get("namespace", call.namespace) != call.namespace:
                raise bad_request(_OTHER_NAMESPACE)
            metadata["namespace"] = call.namespace
        plain = {n: v for n, v in obj.items() if n not in {"apiVersion", "kind", "status"}}
        return plain | {"metadata": metadata}

    def _check_identity(self, call: Call, body: Obj, *, typed: bool) -> None:
        if typed and (body.get("apiVersion"), body.get("kind")) != (
            call.kind.api_version,
            call.kind.name,
        ):
            group, _, version = (body.get("apiVersion") or "").rpartition("/")
            called = f"{group}/{version}, Kind={body.get('kind') or ''}"
            message = f"invalid object type: {called}"
            raise bad_request(message)
        metadata = body.get("metadata")
        if not isinstance(metadata, dict):
            metadata = body["metadata"] = {}
        if call.kind.namespaced and metadata.get("namespace", call.namespace) != call.namespace:
            raise bad_request(_OTHER_NAMESPACE)
        name = metadata.setdefault("name", call.name)
        if name != call.name:
            message = (
                f"the name of the object ({name}) does not match the name on the URL ({call.name})"
            )
            raise bad_request(message)

    def _check_preconditions(self, call: Call, wanted: Obj, live: Obj) -> None:
        uid, revision = wanted.get("uid"), wanted.get("resourceVersion")
        actual = live["metadata"]
        if uid and uid != actual["uid"]:
            why = (
                f"Precondition failed: UID in precondition: {uid}, UID in object meta:"
                f" {actual['uid']}"
            )
            raise conflict(call.kind, call.name, why)
        if revision and revision != actual["resourceVersion"]:
            raise conflict(call.kind, call.name)

    def _prepare_new(self, call: Call, obj: Obj) -> Obj:
        """Return a new object with everything that creation fills in."""
        if call.kind.namespaced:
            self._check_namespace(call, obj)
        metadata = {n: v for n, v in obj["metadata"].items() if n not in _SERVER_METADATA}
        if metadata.pop("resourceVersion", None) not in {None, "", "0"}:
            raise bad_request("resourceVersion should not be set on objects to be created")
        metadata |= {"uid": str(uuid.uuid4()), "creationTimestamp": timestamp()}
        if call.kind in _COUNTS_GENERATIONS:
            metadata["generation"] = 1
        if not metadata.get("name"):
            fault = required("metadata.name", "name or generateName is required")
            raise invalid(call.kind, "", [fault])
        new = with_defaults(call.kind, {**obj, "metadata": metadata})
        if call.kind == kinds.POD:
            new = default_resources(self.store, new)
        return tidy(new, call.kind)

    def _check_namespace(self, call: Call, obj: Obj) -> None:
        namespace = self.store.get(kinds.NAMESPACE, "", call.namespace)
        if namespace is None:
            raise not_found(kinds.NAMESPACE, call.namespace)
        if namespace["status"]["phase"] == "Terminating":
            cause = {
                "reason": "NamespaceTerminating",
                "message": f"namespace {call.namespace} is being terminated",
                "field": "metadata.namespace",
            }
            why = (
                f"unable to create new content in namespace {call.namespace} because it is being"
                " terminated"
            )
            raise forbidden(call.kind, obj["metadata"].get("name", ""), why, [cause])

    def _store_new(self, call: Call, new: Obj) -> Obj:
        """Validate and admit a prepared object, and store it."""
        kind, name = call.kind, new["metadata"]["name"]
        if kind == kinds.POD:
            self._check_account(new)
        check_valid(kind, new)
        if kind.namespaced:
            self._admit(call, new)
        existing = self.store.get(kind, call.namespace, name)
        if existing is not None:
            ending = "deletionTimestamp" in existing["metadata"]
            raise already_exists(kind, name, terminating=ending)
        if call.dry_run:
            return new
        stored = self.store.put(kind, new)
        if kind == kinds.NAMESPACE:
            self.schedule.after(self.timing.service_account_seconds, lambda: self._furnish(stored))
        self._settle(call)
        return stored

    def _check_account(self, pod: Obj) -> None:
        namespace, account = pod["metadata"]["namespace"], pod["spec"]["serviceAccountName"]
        if self.store.get(kinds.SERVICE_ACCOUNT, namespace, account) is None:
            why = (
                f"error looking up service account {namespace}/{account}: serviceaccount"
                f' "{account}" not found'
            )
            raise forbidden(kinds.POD, pod["metadata"]["name"], why)

    def _admit(self, call: Call, new: Obj) -> None:
        namespace = self.get(kinds.NAMESPACE, "", call.namespace)
        if call.kind == kinds.POD:
            check_limits(self.store, new)
            check_pod_security(namespace, new)
        warning = pod_security_warning(namespace, call.kind, new)
        if warning:
            call.warnings.append(warning)
        check_quota(self.store, call.kind, new)

    def _update(self, call: Call, obj: Obj, live: Obj) -> Obj:
        self._check_preconditions(call, obj["metadata"], live)
        kept = {n: live["metadata"][n] for n in _SERVER_METADATA if n in live["metadata"]}
        metadata = {n: v for n, v in obj["metadata"].items() if n not in _SERVER_METADATA}
        new = {**obj, "metadata": metadata | kept}
        if "status" in live:
            new["status"] = live["status"]
        if call.kind == kinds.SERVICE:
            addresses = {
                n: live["spec"][n] for n in ("clusterIP", "clusterIPs") if n in live["spec"]
            }
            new["spec"] = addresses | new.get("spec", {})
        filled = tidy(with_defaults(call.kind, new), call.kind)
        return self._store_changed(call, record_update(live, filled, call.kind, call.manager), live)

    def _store_changed(self, call: Call, new: Obj, live: Obj, *, applier: str = "") -> Obj:
        """Validate a successor and store it, unless it says what the live object says.

        An apply that changes anything dates its manager's entry anew; one that changes nothing
        leaves it as it is.
        """
        if call.kind == kinds.SERVICE:
            new = _with_addresses(new, live)
        new = with_defaults(call.kind, new)
        metadata = {**new["metadata"], "resourceVersion": live["metadata"]["resourceVersion"]}
        if call.kind in _COUNTS_GENERATIONS and new.get("spec") != live.get("spec"):
            metadata["generation"] = live["metadata"]["generation"] + 1
        new = tidy({**new, "metadata": metadata}, call.kind)
        check_valid(call.kind, new, live)
        if call.kind.namespaced:
            namespace = self.get(kinds.NAMESPACE, "", call.namespace)
            warning = pod_security_warning(namespace, call.kind, new)
            if warning:
                call.warnings.append(warning)
        if new == live:
            return live
        if applier:
            new = dated(new, Manager(applier, "Apply"))
        if call.dry_run:
            return new
        stored = self.store.put(call.kind, new)
        is_held = call.kind == kinds.NAMESPACE or stored["metadata"].get("finalizers")
        if "deletionTimestamp" in stored["metadata"] and not is_held:
            self.store.remove(call.kind, stored)
        self._settle(call)
        return stored

    def _create_pod(self, pod: Obj) -> Obj:
        """Create a pod for a controller. Raises Refused as for anybody else."""
        call = Call(kinds.POD, pod["metadata"]["namespace"])
        return self._store_new_quietly(call, self._prepare_new(call, pod))

    def _store_new_quietly(self, call: Call, pod: Obj) -> Obj:
        """Store a controller's pod without running the controllers again: they are running."""
        self._check_account(pod)
        check_valid(kinds.POD, pod)
        self._admit(call, pod)
        return self.store.put(kinds.POD, pod)

    def _settle(self, call: Call) -> None:
        if call.kind.namespaced and call.kind != kinds.EVENT:
            self.controllers.settle(call.namespace)

    def _furnish(self, namespace: Obj) -> None:
        """Give a namespace what the controllers of a cluster put into every one."""
        name = namespace["metadata"]["name"]
        live = self.store.get(kinds.NAMESPACE, "", name)
        if live is None or live["metadata"]["uid"] != namespace["metadata"]["uid"]:
            return
        for kind, obj in (
            (kinds.SERVICE_ACCOUNT, {"metadata": {"name": "default", "namespace": name}}),
            (
                kinds.CONFIG_MAP,
                {
                    "metadata": {"name": "kube-root-ca.crt", "namespace": name},
                    "data": {"ca.crt": ""},
                },
            ),
        ):
            if self.store.get(kind, name, obj["metadata"]["name"]) is None:
                self.store.put(kind, record_update(None, obj, kind, "kube-controller-manager"))
        self.controllers.settle(name)

    def _terminate(self, namespace: Obj) -> Obj:
        if "deletionTimestamp" in namespace["metadata"]:
            return namespace
        metadata = {**namespace["metadata"], "deletionTimestamp": timestamp()}
        ending = {**namespace, "metadata": metadata, "status": {"phase": "Terminating"}}
        stored = self.store.put(kinds.NAMESPACE, ending)
        if not math.isinf(self.timing.termination_seconds):
            self.schedule.after(self.timing.termination_seconds, lambda: self._finish(stored))
        return stored

    def _finish(self, namespace: Obj) -> None:
        name = namespace["metadata"]["name"]
        for kind, obj in self.store.remove_contents(name):
            self._hold(kind, obj)
        if self.store.is_empty(name):
            self.store.remove(kinds.NAMESPACE, namespace)
        else:
            again = max(self.timing.termination_seconds, _LOOK_AGAIN_SECONDS)
            self.schedule.after(again, lambda: self._finish(namespace))

    def _orphan(self, owner: Obj) -> None:
        for kind in (kinds.REPLICA_SET, kinds.POD):
            for obj in owned_by(self.store.list(kind, owner["metadata"]["namespace"]), owner):
                metadata = {n: v for n, v in obj["metadata"].items() if n != "ownerReferences"}
                self.store.put(kind, {**obj, "metadata": metadata})


_OTHER_NAMESPACE: Final = (
    "the namespace of the provided object does not match the namespace sent on the request"
)
_NODE: Final = {
    "capacity": {"cpu": "32", "memory": "64Gi", "ephemeral-storage": "500Gi", "pods": "500"},
    "allocatable": {"cpu": "32", "memory": "64Gi", "ephemeral-storage": "500Gi", "pods": "500"},
    "conditions": [{"type": "Ready", "status": "True", "reason": "KubeletReady"}],
}


def _decoding_text(kind: Kind, problem: Problem) -> str:
    if problem.wanted == "quantity":
        return MALFORMED
    if problem.wanted == "base64" and isinstance(problem.value, str):
        return "illegal base64 data at input byte 0"
    names = {str: "string", bool: "bool", list: "array", dict: "object"}
    types = {"integer": "int32", "boolean": "bool", "list": "[]string", "keyed": "[]v1.Item"}
    path = ".".join(step for step in problem.path if isinstance(step, str))
    return (
        f"json: cannot unmarshal {names.get(type(problem.value), 'number')} into Go struct field"
        f" {kind.name}.{path} of type {types.get(problem.wanted, problem.wanted)}"
    )


def _with_addresses(new: Obj, live: Obj) -> Obj:
    """Return a Service whose list of addresses follows its one address, where that was changed."""
    spec, old = new.get("spec") or {}, live["spec"]
    address, addresses = spec.get("clusterIP"), spec.get("clusterIPs")
    if address and address != old.get("clusterIP") and addresses == old.get("clusterIPs"):
        spec = {**spec, "clusterIPs": [address]}
    return {**new, "spec": spec}


def _deleted(kind: Kind, obj: Obj) -> Obj:
    if kind in _RETURNED_WHEN_DELETED:
        return obj
    metadata = obj["metadata"]
    details = {"name": metadata["name"], "group": kind.group, "kind": kind.plural}
    return {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Success",
        "details": {n: v for n, v in details.items() if v} | {"uid": metadata["uid"]},
    }


def _merge_patch(live: Json, patch: Json) -> Json:
    """Return an RFC 7386 merge: null removes."""
    if not isinstance(patch, dict):
        return patch
    merged = dict(live) if isinstance(live, dict) else {}
    for name, value in patch.items():
        if value is None:
            merged.pop(name, None)
        else:
            merged[name] = _merge_patch(merged.get(name), value)
    return merged


def _drop_nulls(value: Json) -> Json:
    if isinstance(value, dict):
        return {name: _drop_nulls(item) for name, item in value.items() if item is not None}
    return value
