"""What fields the kinds have, written by hand: the part of the OpenAPI schema that callers notice.

It decides which fields are unknown, which lists merge by key, and which values belong together as
one (atomic). A field that is named without a type is known, may hold anything, and is atomic.
"""

import base64
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple, TypeAlias

from infra.local import kube_objects as kinds
from infra.local.kube_objects import Json, Kind, Obj
from infra.local.kube_quantities import canonical_quantity

Step: TypeAlias = str | int


@dataclass(frozen=True)
class Schema:
    """The shape of one value. A keyed list has item and keys, a map has item alone."""

    type: str = "any"
    fields: Mapping[str, "Schema"] = field(default_factory=dict)
    item: "Schema | None" = None
    keys: tuple[str, ...] = ()
    atomic: bool = True


# What a custom resource without a schema gets: maps merge, lists are atomic, nothing is unknown.
OPEN: Final = Schema("open", atomic=False)


def struct(names: str = "", *, atomic: bool = False, **fields: Schema) -> Schema:
    """Describe an object: names are "field" or "field:type", fields those that have structure."""
    plain = (name.partition(":") for name in names.split())
    return Schema("struct", {n: Schema(t or "any") for n, _, t in plain} | fields, atomic=atomic)


def mapping(item: str, *, atomic: bool = False) -> Schema:
    """Describe a map of strings to values of one type."""
    return Schema("map", item=Schema(item), atomic=atomic)


def listed(item: Schema) -> Schema:
    """Describe a list that is replaced as a whole."""
    return Schema("list", item=item)


def keyed(item: Schema, *keys: str) -> Schema:
    """Describe a list whose items are told apart by these fields, and merge by them."""
    return Schema("keyed", item=item, keys=keys, atomic=False)


def _strings() -> Schema:
    return mapping("string")


_SELECTOR: Final = struct("matchExpressions", atomic=True, matchLabels=_strings())
METADATA: Final = struct(
    "name:string generateName:string namespace:string uid resourceVersion generation selfLink"
    " creationTimestamp deletionTimestamp deletionGracePeriodSeconds managedFields finalizers",
    labels=_strings(),
    annotations=_strings(),
    ownerReferences=keyed(
        struct(
            "apiVersion kind name uid controller:boolean blockOwnerDeletion:boolean", atomic=True
        ),
        "uid",
    ),
)
_SECURITY: Final = (
    "privileged:boolean runAsUser:integer runAsGroup:integer runAsNonRoot:boolean procMount:string"
    " readOnlyRootFilesystem:boolean allowPrivilegeEscalation:boolean"
)
_PROFILE: Final = struct("type:string localhostProfile:string")
_TEXTS: Final = listed(Schema("string"))
_CAPABILITIES: Final = struct(add=_TEXTS, drop=_TEXTS)
_OTHER_SECURITY: Final = {
    "seLinuxOptions": struct("user:string role:string type:string level:string"),
    "windowsOptions": struct(
        "gmsaCredentialSpecName gmsaCredentialSpec runAsUserName hostProcess:boolean"
    ),
    "seccompProfile": _PROFILE,
    "appArmorProfile": _PROFILE,
}

_CONTAINER_SECURITY: Final = struct(
    _SECURITY, atomic=False, capabilities=_CAPABILITIES, **_OTHER_SECURITY
)
_POD_SECURITY: Final = struct(
    "runAsUser:integer runAsGroup:integer runAsNonRoot:boolean fsGroup:integer"
    " fsGroupChangePolicy:string supplementalGroups:list supplementalGroupsPolicy:string"
    " seLinuxChangePolicy",
    atomic=False,
    sysctls=listed(struct("name:string value:string")),
    **_OTHER_SECURITY,
)
_RESOURCES: Final = struct("claims", limits=mapping("quantity"), requests=mapping("quantity"))
_HANDLERS: Final = {
    "exec": struct(command=_TEXTS),
    "httpGet": struct("path:string port host:string scheme:string httpHeaders:list"),
    "tcpSocket": struct("port host:string"),
}
_HANDLER: Final = struct("sleep", atomic=False, **_HANDLERS)
_PROBE: Final = struct(
    "initialDelaySeconds:integer timeoutSeconds:integer periodSeconds:integer"
    " successThreshold:integer failureThreshold:integer terminationGracePeriodSeconds:integer",
    atomic=False,
    grpc=struct("port:integer service:string"),
    **_HANDLERS,
)
CONTAINER: Final = struct(
    "name:string image:string workingDir:string envFrom:list"
    " restartPolicy:string restartPolicyRules terminationMessagePath:string tty:boolean"
    " terminationMessagePolicy:string imagePullPolicy:string stdin:boolean stdinOnce:boolean"
    " volumeDevices resizePolicy",
    command=_TEXTS,
    args=_TEXTS,
    lifecycle=struct("stopSignal:string", postStart=_HANDLER, preStop=_HANDLER),
    env=keyed(struct("name:string value:string valueFrom"), "name"),
    ports=keyed(
        struct("name:string containerPort:integer hostPort:integer hostIP protocol:string"),
        "containerPort",
        "protocol",
    ),
    resources=_RESOURCES,
    volumeMounts=keyed(
        struct(
            "name:string mountPath:string subPath subPathExpr readOnly:boolean mountPropagation"
            " recursiveReadOnly"
        ),
        "mountPath",
    ),
    livenessProbe=_PROBE,
    readinessProbe=_PROBE,
    startupProbe=_PROBE,
    securityContext=_CONTAINER_SECURITY,
)
_VOLUME: Final = struct(
    "name:string configMap secret emptyDir projected downwardAPI persistentVolumeClaim hostPath"
    " nfs csi ephemeral image iscsi cephfs rbd glusterfs gitRepo fc flexVolume flocker cinder"
    " awsElasticBlockStore gcePersistentDisk azureDisk azureFile vsphereVolume portworxVolume"
    " photonPersistentDisk quobyte scaleIO storageos",
)
POD_SPEC: Final = struct(
    "restartPolicy:string terminationGracePeriodSeconds:integer activeDeadlineSeconds:integer"
    " dnsPolicy:string serviceAccountName:string serviceAccount:string subdomain:string"
    " automountServiceAccountToken:boolean nodeName:string hostname:string hostNetwork:boolean"
    " hostPID:boolean hostIPC:boolean hostUsers:boolean shareProcessNamespace:boolean affinity"
    " schedulerName:string tolerations priorityClassName:string priority:integer dnsConfig"
    " readinessGates runtimeClassName enableServiceLinks:boolean preemptionPolicy:string overhead"
    " topologySpreadConstraints setHostnameAsFQDN os ephemeralContainers resourceClaims"
    " schedulingGates resources hostnameOverride",
    nodeSelector=mapping("string", atomic=True),
    volumes=keyed(_VOLUME, "name"),
    containers=keyed(CONTAINER, "name"),
    initContainers=keyed(CONTAINER, "name"),
    imagePullSecrets=keyed(struct("name:string"), "name"),
    hostAliases=keyed(struct("ip:string hostnames:list"), "ip"),
    securityContext=_POD_SECURITY,
)
_POD_TEMPLATE: Final = struct(metadata=METADATA, spec=POD_SPEC)
_JOB_SPEC: Final = struct(
    "parallelism:integer completions:integer activeDeadlineSeconds:integer podFailurePolicy"
    " successPolicy backoffLimit:integer backoffLimitPerIndex maxFailedIndexes manualSelector"
    " ttlSecondsAfterFinished:integer completionMode:string suspend:boolean podReplacementPolicy"
    " managedBy",
    selector=_SELECTOR,
    template=_POD_TEMPLATE,
)
_ROLE_REF: Final = struct("apiGroup:string kind:string name:string", atomic=True)


def _top(names: str = "", **fields: Schema) -> Schema:
    described = struct(f"apiVersion:string kind:string status {names}")
    parts = {**described.fields, "metadata": METADATA, **fields}
    return Schema("struct", parts, atomic=False)


_BINDING: Final = _top(
    subjects=listed(struct("apiGroup:string kind:string name:string namespace:string")),
    roleRef=_ROLE_REF,
)
_PEERS: Final = listed(struct("ipBlock", podSelector=_SELECTOR, namespaceSelector=_SELECTOR))
_POLICY_PORTS: Final = listed(struct("port endPort:integer protocol:string"))
_INGRESS: Final = listed(Schema("struct", {"ports": _POLICY_PORTS, "from": _PEERS}, atomic=False))
_EGRESS: Final = listed(struct(ports=_POLICY_PORTS, to=_PEERS))
SCHEMAS: Final[Mapping[Kind, Schema]] = {
    kinds.NAMESPACE: _top(spec=struct("finalizers")),
    kinds.NODE: _top("spec"),
    kinds.POD: _top(spec=POD_SPEC),
    kinds.SERVICE: _top(
        spec=struct(
            "type:string clusterIP:string clusterIPs:list sessionAffinity:string ipFamilies:list"
            " sessionAffinityConfig ipFamilyPolicy:string internalTrafficPolicy:string"
            " externalTrafficPolicy:string externalIPs:list externalName:string loadBalancerIP"
            " loadBalancerSourceRanges loadBalancerClass healthCheckNodePort:integer"
            " publishNotReadyAddresses:boolean allocateLoadBalancerNodePorts trafficDistribution",
            selector=mapping("string", atomic=True),
            ports=keyed(
                struct(
                    "name:string port:integer protocol:string targetPort nodePort:integer"
                    " appProtocol:string"
                ),
                "port",
                "protocol",
            ),
        )
    ),
    kinds.SERVICE_ACCOUNT: _top(
        "automountServiceAccountToken:boolean",
        secrets=keyed(struct("name:string namespace kind uid apiVersion fieldPath"), "name"),
        imagePullSecrets=keyed(struct("name:string"), "name"),
    ),
    kinds.CONFIG_MAP: _top("immutable:boolean", data=_strings(), binaryData=mapping("base64")),
    kinds.SECRET: _top(
        "immutable:boolean type:string", data=mapping("base64"), stringData=_strings()
    ),
    kinds.EVENT: _top(
        "involvedObject reason message source firstTimestamp lastTimestamp count type eventTime"
        " series action related reportingComponent reportingInstance"
    ),
    kinds.ENDPOINTS: _top("subsets:list"),
    kinds.RESOURCE_QUOTA: _top(spec=struct("scopes scopeSelector", hard=mapping("quantity"))),
    kinds.LIMIT_RANGE: _top(
        spec=struct(
            limits=listed(
                struct(
                    "type:string",
                    default=mapping("quantity"),
                    defaultRequest=mapping("quantity"),
                    max=mapping("quantity"),
                    min=mapping("quantity"),
                    maxLimitRequestRatio=mapping("quantity"),
                ),
            )
        )
    ),
    kinds.VOLUME_CLAIM: _top(
        spec=struct(
            "accessModes:list selector volumeName:string storageClassName:string volumeMode:string"
            " dataSource dataSourceRef volumeAttributesClassName",
            resources=_RESOURCES,
        )
    ),
    kinds.DEPLOYMENT: _top(
        spec=struct(
            "replicas:integer minReadySeconds:integer revisionHistoryLimit:integer paused:boolean"
            " progressDeadlineSeconds:integer",
            selector=_SELECTOR,
            template=_POD_TEMPLATE,
            strategy=struct("type:string", rollingUpdate=struct("maxSurge maxUnavailable")),
        )
    ),
    kinds.REPLICA_SET: _top(
        spec=struct(
            "replicas:integer minReadySeconds:integer", selector=_SELECTOR, template=_POD_TEMPLATE
        )
    ),
    kinds.JOB: _top(spec=_JOB_SPEC),
    kinds.CRON_JOB: _top(
        spec=struct(
            "schedule:string timeZone:string startingDeadlineSeconds:integer suspend:boolean"
            " concurrencyPolicy:string successfulJobsHistoryLimit:integer"
            " failedJobsHistoryLimit:integer",
            jobTemplate=struct(metadata=METADATA, spec=_JOB_SPEC),
        )
    ),
    kinds.ENDPOINT_SLICE: _top("addressType:string endpoints:list ports:list"),
    kinds.NETWORK_POLICY: _top(
        spec=struct("policyTypes:list", podSelector=_SELECTOR, ingress=_INGRESS, egress=_EGRESS)
    ),
    kinds.ROLE_BINDING: _BINDING,
    kinds.CLUSTER_ROLE: _top("rules:list aggregationRule"),
    kinds.CLUSTER_ROLE_BINDING: _BINDING,
    kinds.INGRESS_ROUTE: _top(spec=OPEN),
}

_TYPES: Final[Mapping[str, tuple[type, ...]]] = {
    "string": (str,),
    "integer": (int,),
    "boolean": (bool,),
    "list": (list,),
    "keyed": (list,),
    "map": (dict,),
    "struct": (dict,),
    "quantity": (str, int, float),
    "base64": (str,),
}


class Problem(NamedTuple):
    """A field that the schema does not know (wanted is "") or whose value has another type."""

    path: tuple[Step, ...]
    wanted: str
    value: object


def find_problems(value: Json, schema: Schema, path: tuple[Step, ...] = ()) -> Iterator[Problem]:
    """Yield every unknown field and wrong type, in document order."""
    if value is None or schema.type in {"any", "open"}:
        return
    if not _has_type(value, schema.type):
        yield Problem(path, schema.type, value)
        return
    if not _is_well_formed(value, schema.type):
        yield Problem(path, schema.type, value)
    for step, item, item_schema in children(value, schema):
        if item_schema is None:
            yield Problem((*path, step), "", item)
        elif item is None and isinstance(step, int):
            yield Problem((*path, step), item_schema.type, item)
        else:
            yield from find_problems(item, item_schema, (*path, step))


def _has_type(value: object, name: str) -> bool:
    if isinstance(value, bool):
        return name == "boolean"
    return isinstance(value, _TYPES[name])


def _is_well_formed(value: Json, name: str) -> bool:
    try:
        if name == "quantity":
            canonical_quantity(value)
        elif name == "base64":
            base64.b64decode(_in_one_line(value), validate=True)
    except ValueError:
        return False
    return True


def _in_one_line(text: str) -> str:
    """Return base64 without its line breaks, which Go's decoder ignores."""
    return text.replace("\r", "").replace("\n", "")


def children(value: Json, schema: Schema) -> Iterator[tuple[Step, Json, Schema | None]]:
    """Yield the parts of a value with their schemas; None for a field that is not declared."""
    if schema.type == "struct" and isinstance(value, dict):
        for name, item in value.items():
            yield name, item, schema.fields.get(name)
    elif schema.type == "map" and isinstance(value, dict):
        for name, item in value.items():
            yield name, item, schema.item
    elif schema.type == "open" and isinstance(value, dict):
        for name, item in value.items():
            yield name, item, OPEN
    elif isinstance(value, list) and schema.item is not None:
        for index, item in enumerate(value):
            yield index, item, schema.item


def transform(value: Json, schema: Schema, leaf: Callable[[Json, Schema], Json]) -> Json:
    """Rebuild a value: nulls and unknown fields are left out, leaf decides about every end."""
    if isinstance(value, dict) and schema.type in {"struct", "map", "open"}:
        return {
            name: transform(item, item_schema, leaf)
            for name, item, item_schema in children(value, schema)
            if item_schema is not None and item is not None
        }
    if isinstance(value, list) and schema.item is not None:
        return [transform(item, schema.item, leaf) for item in value]
    return leaf(value, schema)


def strip(obj: Obj, kind: Kind) -> Obj:
    """Return a copy without nulls and unknown fields."""
    stripped: Obj = transform(obj, SCHEMAS[kind], lambda value, _: _copy(value))
    return stripped


def normalize(obj: Obj, kind: Kind) -> Obj:
    """Return a copy as the API server would decode it: quantities in their canonical spelling."""
    schema = SCHEMAS[kind]
    normal: Obj = transform(obj, schema, _canonical)
    return normal


def tidy(obj: Obj, kind: Kind) -> Obj:
    """Return a copy as the API server stores it: without the maps and lists that are empty."""
    tidied: Obj = _without_empty(normalize(obj, kind), SCHEMAS[kind])
    return tidied


def _without_empty(value: Json, schema: Schema) -> Json:
    if isinstance(value, list) and schema.item is not None:
        return [_without_empty(item, schema.item) for item in value]
    if not isinstance(value, dict) or schema.type not in {"struct", "map"}:
        return value
    return {
        name: _without_empty(item, below)
        for name, item, below in children(value, schema)
        if below is not None and not (item in ({}, []) and below.type in _OMITTED)
    }


_OMITTED: Final = frozenset({"map", "list", "keyed"})


def _canonical(value: Json, schema: Schema) -> Json:
    if schema.type == "quantity":
        return canonical_quantity(value)
    return _in_one_line(value) if schema.type == "base64" else _copy(value)


def _copy(value: Json) -> Json:
    if isinstance(value, dict):
        return {name: _copy(item) for name, item in value.items() if item is not None}
    return [_copy(item) for item in value] if isinstance(value, list) else value


def decoding_path(path: tuple[Step, ...]) -> str:
    """Spell a path as the JSON decoder does: spec.containers[0].image."""
    text = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)
    return text.removeprefix(".")


def typed_path(obj: Obj, schema: Schema, path: tuple[Step, ...]) -> str:
    """Spell a path as server-side apply does: .spec.containers[name="c"].image."""
    text, value = "", obj
    current: Schema | None = schema
    for step in path:
        value = value[step]  # type: ignore[index]  # a step fits its value
        if isinstance(step, str):
            text += f".{step}"
        elif current is not None and current.keys and isinstance(value, dict):
            text += key_text(value, current.keys)
        else:
            text += f"[{step}]"
        current = _below(current, step)
    return text


def key_text(item: Obj, keys: tuple[str, ...]) -> str:
    """Spell a keyed list item as server-side apply does: [name="c"]."""
    pairs = sorted((name, item.get(name)) for name in keys if item.get(name) is not None)
    shown = (f'{n}="{v}"' if isinstance(v, str) else f"{n}={v}" for n, v in pairs)
    return f"[{','.join(shown)}]"


def _below(schema: Schema | None, step: Step) -> Schema | None:
    if schema is None or schema.type == "open":
        return schema
    return schema.item if schema.item is not None else schema.fields.get(str(step))
