"""Manifests that are wrong in one thing: a value of another type, or what no friend may have.

Any answer to one but a refusal is a hole. What a value is replaced with depends on what it is
alone, and never on what admission says of it.
"""

from collections.abc import Iterable, Iterator
from copy import deepcopy
from dataclasses import replace
from typing import Any, Final

from tests.hostile.requests import LONG, HostileRequest, post_json
from tests.manifests import (
    Manifest,
    create_config_map_manifest,
    create_container,
    create_cron_job_manifest,
    create_deployment_manifest,
    create_job_manifest,
    create_pod_spec,
    create_service_manifest,
)
from tests.unit.domain.admission.good_manifests import GOOD

Json = Any
Place = tuple[str | int, ...]

APPLY: Final = "/api/friends/alice/namespace/apply"

# Any value of another type, out of bounds, or beside an unknown one

_MAPS: Final = {"annotations", "binaryData", "data", "labels", "limits", "matchLabels", "requests"}
_QUANTITIES: Final = {"cpu", "divisor", "ephemeral-storage", "memory", "sizeLimit"}
_NAMES_OR_NUMBERS: Final = {"maxSurge", "maxUnavailable", "port", "targetPort"}
_NO_QUANTITIES: Final[tuple[Json, ...]] = (
    "NaN",
    "-1",
    -1,
    "1 Gi",
    "",
    "1e999",
    "٣",
    LONG,
    True,
    None,
    [],
    {},
)
_NO_NUMBERS: Final[tuple[Json, ...]] = (
    "1",
    "-1",
    "٣",
    LONG,
    True,
    1.5,
    -(10**12),
    10**12,
    10**39,
    None,
    [],
    {},
)
_NO_FLAGS: Final[tuple[Json, ...]] = ("true", "False", 0, 1, 1.5, LONG, None, [], {}, [True])
_NO_TEXTS: Final[tuple[Json, ...]] = (
    True,
    1.5,
    None,
    [],
    {},
    ["x"],
    {"x": "y"},
    "\x00",
    "x\x00y",
    "\ud800",
)
_NO_LISTS: Final[tuple[Json, ...]] = ("x", 7, True, None, {}, [None], [[]], {"0": "x"}, LONG)
_NO_OBJECTS: Final[tuple[Json, ...]] = ("x", 7, True, None, [], [{}], LONG)


def spoilt_manifests() -> Iterator[HostileRequest]:
    """Yield applies of good manifests, each with one value replaced, or one field too many.

    Where a kind has a field in several manifests, the first of them meets every hostile value, and
    each of the others one.
    """
    met: dict[tuple[str, Place], int] = {}
    for manifest in GOOD.values():
        for place, value in _places(manifest):
            field = (manifest["kind"], tuple(0 if isinstance(key, int) else key for key in place))
            hostile = _hostile_for(place, value)
            number = met[field] = met.get(field, -1) + 1
            for each in [hostile[number % len(hostile)]] if number else hostile:
                spoilt = "".join(f"/{str(key).replace('/', '~1')}" for key in place)
                yield replace(post_json(APPLY, _with(manifest, place, each)), spoilt=spoilt)


def _places(value: Json, place: Place = ()) -> Iterator[tuple[Place, Json]]:
    """Yield every value inside, with its place."""
    inside: Iterable[tuple[str | int, Json]] = ()
    if isinstance(value, dict):
        inside = value.items()
    elif isinstance(value, list):
        inside = enumerate(value)
    for key, each in inside:
        yield (*place, key), each
        yield from _places(each, (*place, key))


def _hostile_for(place: Place, value: Json) -> list[Json]:
    key = place[-1]
    if key in _QUANTITIES and not isinstance(value, dict):
        return list(_NO_QUANTITIES)
    match value:
        case bool():
            return list(_NO_FLAGS)
        case int():
            return list(_NO_NUMBERS)
        case str():
            numbers = () if key in _NAMES_OR_NUMBERS else (7, -1)
            return [*_NO_TEXTS, *numbers]
        case list():
            return list(_NO_LISTS)
    is_map = key in _MAPS or (key == "selector" and "matchLabels" not in value)
    more = {LONG: "x", "a b": "x", "": "x"} if is_map else {LONG: 1, "hostile": None, "$ref": "x"}
    return [*_NO_OBJECTS, *({**value, name: each} for name, each in more.items())]


def _with(manifest: Manifest, place: Place, value: Json) -> Manifest:
    spoilt = deepcopy(manifest)
    parent: Json = spoilt
    for key in place[:-1]:
        parent = parent[key]
    parent[place[-1]] = value
    return spoilt


# What a friend's workload may not have, in every place where it could be

_WORKLOADS: Final = (
    (create_deployment_manifest, ("spec", "template", "spec")),
    (create_job_manifest, ("spec", "template", "spec")),
    (create_cron_job_manifest, ("spec", "jobTemplate", "spec", "template", "spec")),
)
_TERM: Final[Manifest] = {"topologyKey": "kubernetes.io/hostname"}
_REQUIRED: Final = "requiredDuringSchedulingIgnoredDuringExecution"
_SECURE: Final[Manifest] = create_container()["securityContext"]
_SECURE_POD: Final[Manifest] = create_pod_spec()["securityContext"]
_OTHER_HOST: Final = {"port": 80, "host": "169.254.169.254"}
_ELSEWHERE: Final[tuple[Manifest, ...]] = (
    {"namespaces": ["friend-bob"]},
    {"namespaceSelector": {}},
)
_POD_SECURITY: Final[tuple[Manifest, ...]] = (
    {"runAsNonRoot": False},
    {"runAsUser": 0},
    {"fsGroup": 0},
    {"supplementalGroups": [0]},
    {"sysctls": [{"name": "kernel.msgmax", "value": "1"}]},
    {"seccompProfile": {"type": "Unconfined"}},
    {"seccompProfile": {"type": "Localhost", "localhostProfile": "../x"}},
    {"seccompProfile": {"type": "Localhost", "localhostProfile": "profiles/web.json"}},
    {"seccompProfile": None},
    {"appArmorProfile": {"type": "Unconfined"}},
    {"seLinuxOptions": {"type": "spc_t"}},
    {"seLinuxOptions": {"user": "system_u"}},
    {"seLinuxOptions": {"role": "system_r"}},
    {"windowsOptions": {"hostProcess": True}},
)
_FORBIDDEN_IN_PODS: Final[tuple[Manifest, ...]] = (
    *({name: True} for name in ("hostNetwork", "hostPID", "hostIPC", "shareProcessNamespace")),
    *({"hostUsers": value} for value in (True, False)),
    *({name: "admin"} for name in ("serviceAccountName", "serviceAccount")),
    {"automountServiceAccountToken": True},
    {"os": {"name": "windows"}},
    {"nodeName": "node-1"},
    {"nodeSelector": {"disk": "ssd"}},
    {"tolerations": [{"operator": "Exists"}]},
    {"priorityClassName": "system-node-critical"},
    {"priority": 2_000_000_000},
    {"preemptionPolicy": "Never"},
    {"runtimeClassName": "kata"},
    {"schedulerName": "mine"},
    {"schedulingGates": [{"name": "example.com/wait"}]},
    {"schedulingGroup": {"podGroupName": "x"}},
    {"resourceClaims": [{"name": "gpu"}]},
    {"overhead": {"cpu": "1"}},
    {"resources": {"limits": {"cpu": "1"}}},
    {"readinessGates": [{"conditionType": "example.com/ready"}]},
    {"hostnameOverride": "node-1"},
    *({"dnsPolicy": policy} for policy in ("Default", "ClusterFirstWithHostNet")),
    {"affinity": {"nodeAffinity": {}}},
    *({"affinity": {"podAffinity": {_REQUIRED: [_TERM | each]}}} for each in _ELSEWHERE),
    *({"affinity": {"podAntiAffinity": {_REQUIRED: [_TERM | each]}}} for each in _ELSEWHERE),
    *({"terminationGracePeriodSeconds": seconds} for seconds in (301, 10**9, -1)),
    {"ephemeralContainers": [{"name": "debug", "image": "busybox"}]},
    {"imagePullSecrets": [{"name": "friends-api-tokens"}]},
    *({"securityContext": _SECURE_POD | each} for each in _POD_SECURITY),
)
_CONTAINER_SECURITY: Final[tuple[Manifest, ...]] = (
    {"privileged": True},
    {"allowPrivilegeEscalation": True},
    {"allowPrivilegeEscalation": None},
    {"capabilities": {"drop": ["ALL"], "add": ["SYS_ADMIN"]}},
    {"capabilities": {"drop": ["NET_RAW"]}},
    {"capabilities": {}},
    {"procMount": "Unmasked"},
    {"seccompProfile": {"type": "Unconfined"}},
    {"appArmorProfile": {"type": "Unconfined"}},
    {"seLinuxOptions": {"type": "spc_t"}},
    {"runAsUser": 0},
    {"runAsNonRoot": False},
    {"windowsOptions": {"hostProcess": True}},
)
_ASKING: Final = tuple({handler: _OTHER_HOST} for handler in ("httpGet", "tcpSocket"))
_PROBES: Final = ("livenessProbe", "readinessProbe", "startupProbe")
_SECRET: Final[Manifest] = {"name": "friends-api-x"}
_FORBIDDEN_IN_CONTAINERS: Final[tuple[Manifest, ...]] = (
    *({"securityContext": _SECURE | each} for each in _CONTAINER_SECURITY),
    {"securityContext": None},
    *({"ports": [{"containerPort": 80, **each}]} for each in ({"hostPort": 80}, {"hostIP": "::"})),
    *({"restartPolicyRules": value} for value in ([], [{"action": "Restart"}])),
    {"resizePolicy": [{"resourceName": "cpu", "restartPolicy": "NotRequired"}]},
    {"volumeDevices": [{"name": "disk", "devicePath": "/dev/sda"}]},
    {"lifecycle": {"stopSignal": "SIGKILL"}},
    *({"lifecycle": {hook: each}} for hook in ("postStart", "preStop") for each in _ASKING),
    *({probe: each} for probe in _PROBES for each in _ASKING),
    *({"resources": {"limits": {"cpu": amount}}} for amount in ("1e6", "1e3", "-1", "NaN")),
    *({"resources": {"limits": {"memory": amount}}} for amount in ("200m", 256, "0.5", "512k")),
    {"resources": {"limits": {"nvidia.com/gpu": 1}}},
    {"resources": {"claims": [{"name": "gpu"}]}},
    {"env": [{"name": "T", "valueFrom": {"secretKeyRef": {**_SECRET, "key": "t"}}}]},
    {"envFrom": [{"secretRef": _SECRET}]},
    *({"image": image} for image in ("", " nginx", LONG * 4)),
)
_PROJECTED: Final[tuple[Manifest, ...]] = (
    {"secret": _SECRET},
    {"serviceAccountToken": {"path": "token"}},
    {"clusterTrustBundle": {"path": "ca", "name": "x"}},
    {"podCertificate": {"signerName": "x", "keyType": "ED25519"}},
)
_FORBIDDEN_VOLUMES: Final[tuple[Manifest, ...]] = (
    {"hostPath": {"path": "/"}},
    {"hostPath": {"path": "/var/run/docker.sock", "type": "Socket"}},
    {"csi": {"driver": "x"}},
    {"ephemeral": {"volumeClaimTemplate": {"spec": {}}}},
    {"persistentVolumeClaim": {"claimName": "data"}},
    {"image": {"reference": "nginx"}},
    {"nfs": {"server": "10.0.0.1", "path": "/"}},
    {"iscsi": {}},
    {"gitRepo": {"repository": "https://example.net/x"}},
    *({"emptyDir": {"medium": medium}} for medium in ("Memory", "HugePages")),
    {"emptyDir": {"sizeLimit": "200m"}},
    {"secret": {"secretName": "friends-api-tokens"}},
    *({"secret": {"secretName": "s", "defaultMode": mode}} for mode in ("0600", 600, "420")),
    *({"projected": {"sources": [each]}} for each in _PROJECTED),
)
_ANNOTATIONS: Final = (
    *("external-dns.alpha.kubernetes.io/hostname", "cert-manager.io/cluster-issuer"),
    *("traefik.ingress.kubernetes.io/router.entrypoints", "traefik.io/x"),
    *("reloader.stakater.com/auto", "service.beta.kubernetes.io/x", "metallb.universe.tf/x"),
    *("kubernetes.io/psp", "x.k8s.io/y", "kubectl.kubernetes.io/last-applied-configuration"),
    *("sidecar.istio.io/inject", "linkerd.io/inject", "keel.sh/policy", "argocd.argoproj.io/x"),
    *("friends-api/digest", "container.apparmor.security.beta.kubernetes.io/web", LONG),
)
_LABELS: Final = (
    *("friends-api/friend", "friends-api/uid", "app.kubernetes.io/managed-by"),
    *("pod-template-hash", "controller-uid", "job-name", "batch.kubernetes.io/job-name"),
    *("pod-security.kubernetes.io/enforce", "x.k8s.io/y", LONG),
    *("grafana_dashboard", "release", "prometheus", "k8s-app", "io.kubernetes.pod.namespace"),
)
_FORBIDDEN_METADATA: Final[tuple[Manifest, ...]] = (
    *({"namespace": value} for value in ("friend-bob", "", None)),
    {"generateName": "x-"},
    {"finalizers": ["example.com/hold"]},
    {"ownerReferences": [{"apiVersion": "v1", "kind": "Pod", "name": "x", "uid": "y"}]},
    {"managedFields": []},
    {"resourceVersion": "1"},
    {"uid": "x"},
    {"selfLink": "/x"},
    {"creationTimestamp": None},
    {"deletionTimestamp": "2026-11-24T09:00:00Z"},
    {"deletionGracePeriodSeconds": 1},
    {"generation": 1},
    *({"annotations": {key: "unconfined"}} for key in _ANNOTATIONS),
    *({"labels": {"app": "web", key: "friends-api"}} for key in _LABELS),
    {"labels": {"app": "web", **{f"l{number}": "x" for number in range(32)}}},
)
_FORBIDDEN_IN_SERVICES: Final[tuple[Manifest, ...]] = (
    *({"type": name} for name in ("NodePort", "LoadBalancer", "ExternalName", LONG)),
    {"externalName": "metadata.google.internal"},
    {"externalIPs": ["8.8.8.8"]},
    {"loadBalancerIP": "10.0.0.1"},
    {"loadBalancerSourceRanges": ["0.0.0.0/0"]},
    {"loadBalancerClass": "example.com/own"},
    {"allocateLoadBalancerNodePorts": False},
    {"healthCheckNodePort": 30_000},
    {"externalTrafficPolicy": "Local"},
    {"internalTrafficPolicy": "Local"},
    {"trafficDistribution": "PreferClose"},
    {"publishNotReadyAddresses": True},
    {"clusterIP": "10.0.0.1"},
    {"clusterIPs": ["None"]},
    {"ipFamilies": ["IPv6"]},
    {"selector": {}},
    {"selector": {"friends-api/uid": "x"}},
    {"selector": {"k8s-app": "kube-dns"}},
    {"ports": [{"port": 80, "nodePort": 30_080}]},
    {
        "sessionAffinity": "ClientIP",
        "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 86_401}},
    },
)
_FORBIDDEN_IN_JOBS: Final[tuple[Manifest, ...]] = (
    {"completions": 100},
    {"completions": 61},
    *({"ttlSecondsAfterFinished": seconds} for seconds in (0, 599, 86_401, 604_800)),
)
_FORBIDDEN_KINDS: Final = (
    *("Pod", "DaemonSet", "StatefulSet", "ReplicaSet", "ReplicationController", "Secret"),
    *("Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding", "ServiceAccount", "Namespace"),
    *("Ingress", "IngressRoute", "NetworkPolicy", "PersistentVolumeClaim", "PersistentVolume"),
    *("ResourceQuota", "LimitRange", "Endpoints", "EndpointSlice", "Certificate", "Middleware"),
    *("CustomResourceDefinition", "MutatingWebhookConfiguration", "HorizontalPodAutoscaler"),
    *("List", "DeploymentList", "ConfigMapList", "Status", "Eviction", "Binding", "Node", "Event"),
    *("deployment", "Deployment ", "DEPLOYMENT", "Ｄｅｐｌｏｙｍｅｎｔ", "Deployment\n", "", LONG),
)


def forbidden_manifests() -> Iterator[HostileRequest]:
    """Yield applies with one thing that none may have, in each place where it could be."""
    for manifest in (*_forbidden_in_workloads(), *_forbidden_elsewhere()):
        yield post_json(APPLY, manifest)


def _forbidden_in_workloads() -> Iterator[Manifest]:
    for build, _ in _WORKLOADS:
        for pod in _FORBIDDEN_IN_PODS:
            yield build(pod=pod)
        for each in _FORBIDDEN_IN_CONTAINERS:
            container = create_container(**{"name": "c", **each})
            yield build(pod={"containers": [container]})
            yield build(pod={"containers": [create_container(), container]})
            # Of init containers, only those that stay have probes and hooks.
            sidecar = {"restartPolicy": "Always"} if {"lifecycle", *_PROBES} & set(each) else {}
            yield build(pod={"initContainers": [container | sidecar]})
        for source in _FORBIDDEN_VOLUMES:
            yield build(pod={"volumes": [{"name": "v", **source}]})


def _forbidden_elsewhere() -> Iterator[Manifest]:
    for build, at in _WORKLOADS:
        # The object's own metadata, a CronJob's Job's, and the pod template's.
        places = [at[:length] for length in range(len(at)) if at[length] == "spec"]
        for metadata in _FORBIDDEN_METADATA:
            for place in places:
                yield _with_metadata(build(), place, metadata)
    for build in (create_service_manifest, create_config_map_manifest):
        for metadata in _FORBIDDEN_METADATA:
            yield _with_metadata(build(), (), metadata)
    for spec in _FORBIDDEN_IN_JOBS:
        yield create_job_manifest(**spec)
        yield create_cron_job_manifest(job=spec)
    yield create_config_map_manifest(data={"a": "x" * 65_536})
    for spec in _FORBIDDEN_IN_SERVICES:
        yield create_service_manifest(**spec)


def _with_metadata(manifest: Manifest, place: Place, metadata: Manifest) -> Manifest:
    parent = manifest
    for key in place:
        parent = parent[str(key)]
    parent["metadata"] = {**parent.get("metadata", {}), **metadata}
    return manifest


def forbidden_kinds() -> Iterator[HostileRequest]:
    """Yield applies of objects of a kind that there is not, alone and among good ones."""
    return (post_json(APPLY, body) for body in _bodies_of_forbidden_kinds())


def _bodies_of_forbidden_kinds() -> Iterator[Json]:
    good = create_config_map_manifest()
    versions = ("v1", "apps/v1", "rbac.authorization.k8s.io/v1", "traefik.io/v1alpha1", None)
    for kind in _FORBIDDEN_KINDS:
        for version in versions:
            fields = {"apiVersion": version, "kind": kind, "metadata": {"name": "x"}, "spec": {}}
            yield fields
            yield [good, fields]
            yield {"manifests": [good, fields]}
        yield [[{"kind": kind, "metadata": {"name": "x"}}]]
        yield {"apiVersion": "v1", "kind": kind, "items": [good]}
