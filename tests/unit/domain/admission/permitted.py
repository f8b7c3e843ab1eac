"""Good manifests by the hundred: every field that is permitted, in every kind that has it.

GOOD is how people write them; these are made one feature at a time.
"""

from collections.abc import Iterator
from typing import Any, Final

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
from tests.unit.domain.admission.good_manifests import GOOD, with_metadata

Features = tuple[Manifest, ...]

_WORKLOADS: Final = (
    create_deployment_manifest,
    create_job_manifest,
    create_cron_job_manifest,
)
_SECURE: Final[Manifest] = create_container()["securityContext"]
_SECURE_POD: Final[Manifest] = create_pod_spec()["securityContext"]
_SELECTOR: Final[Manifest] = {
    "matchLabels": {"app": "web"},
    "matchExpressions": [{"key": "tier", "operator": "NotIn", "values": ["back"]}],
}
_TERM: Final[Manifest] = {
    "topologyKey": "kubernetes.io/hostname",
    "labelSelector": _SELECTOR,
    "matchLabelKeys": ["pod-template-hash"],
    "mismatchLabelKeys": ["side"],
}
_SPREAD: Final[Manifest] = {
    "maxSkew": 1,
    "topologyKey": "kubernetes.io/hostname",
    "whenUnsatisfiable": "DoNotSchedule",
    "labelSelector": _SELECTOR,
}
_POD_SECURITY: Final[Features] = (
    {"runAsUser": 1000},
    {"runAsGroup": 0},
    {"fsGroup": 1000, "fsGroupChangePolicy": "OnRootMismatch"},
    {"supplementalGroups": [1000, 2000], "supplementalGroupsPolicy": "Merge"},
    {"seLinuxChangePolicy": "Recursive"},
    {"seLinuxOptions": {"level": "s0:c123,c456", "type": "container_t", "role": "", "user": ""}},
    {"seccompProfile": {"type": "RuntimeDefault"}},
    {"appArmorProfile": {"type": "RuntimeDefault"}},
    {"sysctls": [{"name": "net.ipv4.ip_unprivileged_port_start", "value": "80"}]},
)
_PODS: Final[Features] = (
    *({"securityContext": _SECURE_POD | each} for each in _POD_SECURITY),
    *({name: False} for name in ("hostIPC", "hostNetwork", "hostPID", "shareProcessNamespace")),
    *({name: "default"} for name in ("serviceAccount", "serviceAccountName")),
    *({"enableServiceLinks": value} for value in (True, False)),
    {"automountServiceAccountToken": False},
    {"affinity": {}},
    {"affinity": {"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [_TERM]}}},
    {
        "affinity": {
            "podAntiAffinity": {
                "preferredDuringSchedulingIgnoredDuringExecution": [
                    {"weight": 1, "podAffinityTerm": _TERM}
                ]
            }
        }
    },
    {"dnsPolicy": "ClusterFirst"},
    {"dnsPolicy": "None", "dnsConfig": {"nameservers": ["1.1.1.1"], "searches": ["example.net"]}},
    {"dnsConfig": {"options": [{"name": "ndots", "value": "1"}, {"name": "edns0"}]}},
    {"hostAliases": [{"ip": "203.0.113.9", "hostnames": ["db", "db.example.net"]}]},
    {"hostname": "web", "subdomain": "site", "setHostnameAsFQDN": False},
    {"imagePullSecrets": [{"name": "regcred"}]},
    {"os": {"name": "linux"}},
    {"schedulerName": "default-scheduler"},
    *({"terminationGracePeriodSeconds": seconds} for seconds in (0, 300)),
    {"topologySpreadConstraints": [_SPREAD | {"minDomains": 1, "nodeAffinityPolicy": "Ignore"}]},
    {
        "topologySpreadConstraints": [
            _SPREAD | {"nodeTaintsPolicy": "Honor", "matchLabelKeys": ["side"]}
        ]
    },
)
_HTTP: Final[Manifest] = {
    "port": 8080,
    "path": "/up",
    "scheme": "HTTPS",
    "httpHeaders": [{"name": "X-Probe", "value": "1"}],
}
_HANDLERS: Final[Features] = (
    {"exec": {"command": ["cat", "/srv/ok"]}},
    {"httpGet": _HTTP},
    {"tcpSocket": {"port": 8080}},
)
_PROBES: Final[Features] = (
    *_HANDLERS,
    {"grpc": {"port": 9090, "service": "live"}},
    {
        "httpGet": {"port": "http"},
        "failureThreshold": 30,
        "initialDelaySeconds": 5,
        "periodSeconds": 10,
        "successThreshold": 1,
        "timeoutSeconds": 3,
    },
)
_SECURITY: Final[Features] = (
    {"readOnlyRootFilesystem": True},
    {"privileged": False},
    {"procMount": "Default"},
    {"runAsNonRoot": True, "runAsUser": 1000, "runAsGroup": 1000},
    {"seccompProfile": {"type": "RuntimeDefault"}},
    {"appArmorProfile": {"type": "Localhost", "localhostProfile": "k8s-web"}},
    {"seLinuxOptions": {"type": "container_init_t"}},
    {"capabilities": {"drop": ["ALL"], "add": ["NET_BIND_SERVICE"]}},
)
_SOURCES: Final[Features] = (
    {"configMapKeyRef": {"name": "settings", "key": "colour", "optional": True}},
    {"secretKeyRef": {"name": "db", "key": "password", "optional": False}},
    {"fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.name"}},
    {"fieldRef": {"fieldPath": "metadata.annotations['note']"}},
    {"resourceFieldRef": {"resource": "limits.memory", "divisor": "1Mi", "containerName": "web"}},
)
_CONTAINERS: Final[Features] = (
    *({"securityContext": _SECURE | each} for each in _SECURITY),
    *({"env": [{"name": "X", "valueFrom": each}]} for each in _SOURCES),
    {"env": [{"name": "EMPTY"}, {"name": "URL", "value": "http://$(EMPTY):8080/ü"}]},
    {"envFrom": [{"configMapRef": {"name": "settings", "optional": True}}]},
    {"envFrom": [{"prefix": "DB_", "secretRef": {"name": "db", "optional": True}}]},
    {"command": ["/bin/sh", "-c"], "args": ["exec serve"], "workingDir": "/srv"},
    *({"imagePullPolicy": policy} for policy in ("Always", "IfNotPresent", "Never")),
    *({"image": image} for image in ("nginx", "registry.example:5000/a/b@sha256:" + "0" * 64)),
    *(
        {"ports": [{"name": "http", "containerPort": 8080, "protocol": protocol}]}
        for protocol in ("TCP", "UDP")
    ),
    {"resources": {"limits": {"cpu": "100m", "memory": "64Mi", "ephemeral-storage": "1Gi"}}},
    {"resources": {"requests": {"cpu": 0.05, "memory": "32M"}}},
    {"stdin": True, "stdinOnce": True, "tty": True},
    *({"terminationMessagePolicy": policy} for policy in ("File", "FallbackToLogsOnError")),
    {"terminationMessagePath": "/dev/termination-log"},
)
# What an init container has only where it stays, as a sidecar.
_STAYING: Final[Features] = (
    *({"livenessProbe": each} for each in _PROBES),
    *({"startupProbe": each} for each in _PROBES),
    *({"readinessProbe": each} for each in _PROBES),
    {"livenessProbe": {"tcpSocket": {"port": 80}, "terminationGracePeriodSeconds": 10}},
    *({"lifecycle": {"postStart": each}} for each in _HANDLERS),
    {"lifecycle": {"preStop": {"sleep": {"seconds": 5}}}},
)
_ITEM: Final[Manifest] = {"key": "a", "path": "b/c", "mode": 0o400}
_ABOUT: Final[Features] = (
    {"path": "name", "mode": 0o444, "fieldRef": {"fieldPath": "metadata.labels"}},
    {
        "path": "cpu",
        "resourceFieldRef": {"containerName": "web", "resource": "limits.cpu", "divisor": "1m"},
    },
)
_PROJECTED: Final[Features] = (
    {"configMap": {"name": "settings", "items": [_ITEM], "optional": True}},
    {"secret": {"name": "db", "items": [_ITEM], "optional": True}},
    *({"downwardAPI": {"items": [each]}} for each in _ABOUT),
)
_VOLUMES: Final[Features] = (
    {"configMap": {"name": "settings"}},
    {"configMap": {"name": "x", "items": [_ITEM], "defaultMode": 0o444, "optional": True}},
    {"secret": {"secretName": "db"}},
    {"secret": {"secretName": "db", "items": [_ITEM], "defaultMode": 0o400, "optional": True}},
    *({"downwardAPI": {"defaultMode": 0o444, "items": [each]}} for each in _ABOUT),
    {"emptyDir": {}},
    {"emptyDir": {"sizeLimit": "1Gi"}},
    {"emptyDir": {"medium": "Memory", "sizeLimit": "16Mi"}},
    *({"projected": {"defaultMode": 0o444, "sources": [each]}} for each in _PROJECTED),
)
_MOUNTS: Final[Features] = (
    {"readOnly": True, "recursiveReadOnly": "Disabled"},
    {"subPath": "a/b"},
    {"subPathExpr": "$(X)"},
    {"mountPropagation": "None"},
)
_METADATA: Final[Features] = (
    {"labels": {"app": "web", "app.kubernetes.io/version": "1.4.2", "example.com/empty": ""}},
    {"labels": {"app": "web", "app.kubernetes.io/managed-by": "Helm"}},
    {"annotations": {"description": "What it is ✓", "app.kubernetes.io/owner": "Alice <3"}},
    {"annotations": {"checksum/config": "0" * 64}},
)
_PODS_THAT_END: Final[Features] = ({"restartPolicy": "OnFailure"}, {"activeDeadlineSeconds": 60})
_DEPLOYMENTS: Final[Features] = (
    *({"replicas": number} for number in (0, 2, 3)),
    *({"paused": value} for value in (True, False)),
    {"minReadySeconds": 300, "progressDeadlineSeconds": 3600},
    *({"revisionHistoryLimit": number} for number in (0, 5)),
    {"strategy": {"type": "Recreate"}},
    {"strategy": {"rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}},
    {"strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "0%"}}},
    *(
        {"selector": {"matchExpressions": [{"key": "app", **each}]}}
        for each in (
            {"operator": "In", "values": ["web", "api"]},
            {"operator": "NotIn", "values": ["api"]},
            {"operator": "Exists"},
        )
    ),
)
_JOBS: Final[Features] = (
    {"completionMode": "Indexed", "completions": 3, "parallelism": 1},
    {"completionMode": "NonIndexed", "completions": 1},
    *({"activeDeadlineSeconds": seconds} for seconds in (1, 86_400)),
    *({"backoffLimit": number} for number in (0, 10)),
    *({"parallelism": number} for number in (0, 2)),
    *({"suspend": value} for value in (True, False)),
    *({"ttlSecondsAfterFinished": seconds} for seconds in (600, 86_400)),
)
_CRON_JOBS: Final[Features] = (
    *({"schedule": each} for each in ("*/5 * * * *", "@hourly", "0 9-17/2 1,15 jan-MAR *")),
    *({"timeZone": each} for each in ("UTC", "Europe/Berlin", "America/Port-au-Prince")),
    *({"concurrencyPolicy": each} for each in ("Forbid", "Replace")),
    *({"suspend": value} for value in (True, False)),
    {"successfulJobsHistoryLimit": 0, "failedJobsHistoryLimit": 10},
    *({"startingDeadlineSeconds": seconds} for seconds in (10, 86_400)),
)
_SERVICES: Final[Features] = (
    {"type": "ClusterIP"},
    {"clusterIP": "None"},
    {"clusterIP": "None", "clusterIPs": ["None"], "ports": None},
    {"sessionAffinity": "None"},
    {
        "sessionAffinity": "ClientIP",
        "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 86_400}},
    },
    {"internalTrafficPolicy": "Cluster"},
    {"publishNotReadyAddresses": False},
    {"selector": {"app": "web", "tier": "front"}},
    *({"ports": [{"port": 53, "protocol": protocol}]} for protocol in ("TCP", "UDP")),
    {"ports": [{"name": "h2c", "port": 80, "appProtocol": "kubernetes.io/h2c"}]},
    *({"ports": [{"port": 80, "targetPort": target}]} for target in (8080, "http")),
)
_CONFIG_MAPS: Final[Features] = (
    *({"immutable": value} for value in (False, None)),
    {"data": {"a.b-c_D": "", "k" * 253: "é\n"}},
    {"binaryData": {"logo": "aGk=", "none": ""}},
    {"data": {}},
    {"data": {"index.html": "x" * 65_000, "say": "\ufffd"}},
)


def permitted_manifests() -> Iterator[Manifest]:
    """Yield them all; the same ones in every run."""
    yield from GOOD.values()
    for build in _WORKLOADS:
        for pod in _pods():
            yield build(pod=pod)
        yield from (with_metadata(build(), **each) for each in _METADATA)
        yield from (_with_template(build(), each) for each in _METADATA)
    yield from (create_deployment_manifest(**each) for each in _DEPLOYMENTS)
    yield from (create_job_manifest(**each) for each in _JOBS)
    yield from (create_job_manifest(pod=each) for each in _PODS_THAT_END)
    yield from (create_cron_job_manifest(**each) for each in _CRON_JOBS)
    yield from (create_cron_job_manifest(job=each) for each in _JOBS)
    for build in (create_service_manifest, create_config_map_manifest):
        yield from (with_metadata(build(), **each) for each in _METADATA)
    yield from (create_service_manifest(**each) for each in _SERVICES)
    yield from (create_config_map_manifest(**each) for each in _CONFIG_MAPS)


def _pods() -> Iterator[Manifest]:
    yield from _PODS
    for fields in (*_CONTAINERS, *_STAYING):
        yield {"containers": [create_container(**fields)]}
    for fields in _CONTAINERS:
        yield {"initContainers": [create_container(**{"name": "init", **fields})]}
    for fields in _STAYING:
        staying = {"name": "side", "restartPolicy": "Always", **fields}
        yield {"initContainers": [create_container(**staying)]}
    for source in _VOLUMES:
        yield _mounting(source, {})
    for mount in _MOUNTS:
        yield _mounting({"emptyDir": {}}, mount)


def _mounting(source: Manifest, mount: Manifest) -> Manifest:
    mounts = [{"name": "v", "mountPath": "/v", **mount}]
    container = create_container(env=[{"name": "X", "value": "x"}], volumeMounts=mounts)
    return {"containers": [container], "volumes": [{"name": "v", **source}]}


def _with_template(manifest: Manifest, metadata: Manifest) -> Manifest:
    spec: Any = manifest["spec"]
    if "jobTemplate" in spec:
        spec["jobTemplate"]["metadata"] = metadata
        spec = spec["jobTemplate"]["spec"]
    template = spec["template"]
    template["metadata"] = {**template.get("metadata", {}), **metadata, "name": "web"}
    return manifest
