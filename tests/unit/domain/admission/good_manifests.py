"""Manifests as agents really write them, each of another style, and each fine as it is."""

from typing import Any

from tests.manifests import (
    IMAGE,
    Manifest,
    create_config_map_manifest,
    create_container,
    create_cron_job_manifest,
    create_deployment_manifest,
    create_job_manifest,
    create_pod_spec,
    create_service_manifest,
)

SECURE = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
SMALL = {"requests": {"cpu": "10m", "memory": "16Mi"}, "limits": {"cpu": "50m", "memory": "32Mi"}}


def deployment(*containers: Manifest, **pod: Any) -> Manifest:
    """Return a Deployment of these containers."""
    return create_deployment_manifest(pod={"containers": list(containers) or None, **pod})


def web(**fields: Any) -> Manifest:
    """Return a Deployment of one container."""
    return deployment(create_container(**fields))


def with_metadata(manifest: Manifest, **fields: Any) -> Manifest:
    """Return the manifest with more metadata."""
    manifest["metadata"].update(fields)
    return manifest


def mounting(*volumes: Manifest) -> Manifest:
    """Return a Deployment that mounts each volume where its name says."""
    mounts = [{"name": each["name"], "mountPath": f"/{each['name']}"} for each in volumes]
    return deployment(create_container(volumeMounts=mounts), volumes=list(volumes))


GOOD: dict[str, Manifest] = {
    "web": create_deployment_manifest(),
    "a web server with everything": {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {
            "name": "site",
            "namespace": "friend-alice",
            "labels": {"app.kubernetes.io/name": "site", "app.kubernetes.io/version": "1.4.2"},
            "annotations": {"description": "Alice's site"},
        },
        "spec": {
            "replicas": 2,
            "revisionHistoryLimit": 3,
            "minReadySeconds": 5,
            "progressDeadlineSeconds": 120,
            "strategy": {
                "type": "RollingUpdate",
                "rollingUpdate": {"maxSurge": 1, "maxUnavailable": "25%"},
            },
            "selector": {"matchLabels": {"app.kubernetes.io/name": "site"}},
            "template": {
                "metadata": {
                    "labels": {"app.kubernetes.io/name": "site", "tier": "front"},
                    "annotations": {"app.kubernetes.io/owner": "alice"},
                },
                "spec": {
                    "securityContext": {
                        "runAsNonRoot": True,
                        "runAsUser": 1000,
                        "runAsGroup": 3000,
                        "fsGroup": 2000,
                        "seccompProfile": {"type": "RuntimeDefault"},
                    },
                    "terminationGracePeriodSeconds": 60,
                    "containers": [
                        {
                            "name": "nginx",
                            "image": "nginxinc/nginx-unprivileged:1.27@sha256:" + "0" * 64,
                            "imagePullPolicy": "IfNotPresent",
                            "ports": [{"name": "http", "containerPort": 8080, "protocol": "TCP"}],
                            "env": [{"name": "TZ", "value": "Europe/Berlin"}],
                            "resources": SMALL,
                            "securityContext": {**SECURE, "readOnlyRootFilesystem": True},
                            "livenessProbe": {
                                "httpGet": {"path": "/healthz", "port": "http"},
                                "initialDelaySeconds": 5,
                                "periodSeconds": 10,
                            },
                            "readinessProbe": {"httpGet": {"path": "/", "port": 8080}},
                            "lifecycle": {
                                "preStop": {"exec": {"command": ["nginx", "-s", "quit"]}}
                            },
                            "volumeMounts": [
                                {"name": "site", "mountPath": "/usr/share/nginx/html"},
                                {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108 - in a container
                            ],
                        }
                    ],
                    "volumes": [
                        {"name": "site", "configMap": {"name": "site", "optional": True}},
                        {"name": "tmp", "emptyDir": {"sizeLimit": "64Mi"}},
                    ],
                },
            },
        },
    },
    "two containers": deployment(create_container(), create_container(name="metrics")),
    "a sidecar": deployment(
        create_container(),
        initContainers=[
            create_container(
                name="proxy",
                restartPolicy="Always",
                startupProbe={"tcpSocket": {"port": 15_021}, "failureThreshold": 30},
                lifecycle={"preStop": {"sleep": {"seconds": 5}}},
            )
        ],
    ),
    "an init container": deployment(
        create_container(),
        initContainers=[
            create_container(name="migrate", command=["./manage.py"], args=["migrate"])
        ],
    ),
    "no replicas": create_deployment_manifest(replicas=0),
    "replicas left out": create_deployment_manifest(replicas=None),
    "recreate": create_deployment_manifest(strategy={"type": "Recreate"}),
    "paused": create_deployment_manifest(paused=True),
    "selected by expressions": create_deployment_manifest(
        selector={"matchExpressions": [{"key": "app", "operator": "In", "values": ["web"]}]}
    ),
    "no resources": web(resources=None),
    "limits only": web(resources={"limits": {"cpu": "100m", "memory": "64Mi"}}),
    "quantities as numbers": web(resources={"limits": {"cpu": 0.1, "memory": 67_108_864}}),
    "temporary storage": web(resources={"limits": {"ephemeral-storage": "100Mi"}}),
    "a command": web(command=["/bin/sh", "-c"], args=["exec python -m http.server $PORT"]),
    "a working directory": web(workingDir="/srv", terminationMessagePolicy="FallbackToLogsOnError"),
    "a terminal": web(stdin=True, tty=True, stdinOnce=False),
    "plain variables": web(env=[{"name": "PORT", "value": "8080"}, {"name": "EMPTY"}]),
    "variables of many sources": web(
        env=[
            {"name": "COLOUR", "valueFrom": {"configMapKeyRef": {"name": "c", "key": "colour"}}},
            {
                "name": "TOKEN",
                "valueFrom": {"secretKeyRef": {"name": "s", "key": "token", "optional": True}},
            },
            {"name": "POD_IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
            {
                "name": "NAMESPACE",
                "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"}},
            },
            {"name": "APP", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['app']"}}},
            {
                "name": "GOMAXPROCS",
                "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu", "divisor": "1"}},
            },
            {"name": "URL", "value": "http://$(POD_IP):8080"},
        ]
    ),
    "variables of whole objects": web(
        envFrom=[
            {"configMapRef": {"name": "settings"}},
            {"prefix": "DB_", "secretRef": {"name": "database", "optional": True}},
        ]
    ),
    "every probe": web(
        startupProbe={"httpGet": {"path": "/up", "port": 8080}, "failureThreshold": 30},
        livenessProbe={"exec": {"command": ["cat", "/srv/ok"]}, "timeoutSeconds": 5},
        readinessProbe={
            "httpGet": {
                "path": "/ready",
                "port": "http",
                "scheme": "HTTPS",
                "httpHeaders": [{"name": "X-Probe", "value": "1"}],
            },
            "successThreshold": 2,
        },
    ),
    "a gRPC probe": web(livenessProbe={"grpc": {"port": 9090, "service": "live"}}),
    "hooks": web(
        lifecycle={
            "postStart": {"exec": {"command": ["/warm-up"]}},
            "preStop": {"httpGet": {"path": "/drain", "port": 8080}},
        }
    ),
    "ports of one number": web(
        ports=[
            {"name": "dns-udp", "containerPort": 5353, "protocol": "UDP"},
            {"name": "dns-tcp", "containerPort": 5353},
        ]
    ),
    "low ports": web(
        securityContext={**SECURE, "capabilities": {"drop": ["ALL"], "add": ["NET_BIND_SERVICE"]}}
    ),
    "a secret": mounting(
        {
            "name": "keys",
            "secret": {
                "secretName": "keys",
                "defaultMode": 0o400,
                "items": [{"key": "id_ed25519", "path": "ssh/id", "mode": 0o400}],
            },
        }
    ),
    "files of a ConfigMap": mounting(
        {
            "name": "conf",
            "configMap": {"name": "conf", "items": [{"key": "app.toml", "path": "app.toml"}]},
        }
    ),
    "memory": mounting({"name": "cache", "emptyDir": {"medium": "Memory", "sizeLimit": "16Mi"}}),
    "scratch": mounting({"name": "scratch", "emptyDir": {}}),
    "the pod about itself": mounting(
        {
            "name": "podinfo",
            "downwardAPI": {
                "items": [
                    {"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}},
                    {
                        "path": "cpu",
                        "resourceFieldRef": {"containerName": "web", "resource": "limits.cpu"},
                    },
                ]
            },
        }
    ),
    "projected": mounting(
        {
            "name": "all",
            "projected": {
                "defaultMode": 0o444,
                "sources": [
                    {"configMap": {"name": "conf"}},
                    {"secret": {"name": "keys", "items": [{"key": "a", "path": "a"}]}},
                    {
                        "downwardAPI": {
                            "items": [{"path": "name", "fieldRef": {"fieldPath": "metadata.name"}}]
                        }
                    },
                ],
            },
        }
    ),
    "a part of a volume": deployment(
        create_container(
            env=[{"name": "POD", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}],
            volumeMounts=[
                {"name": "v", "mountPath": "/a", "subPath": "a/b", "readOnly": True},
                {"name": "v", "mountPath": "/b", "subPathExpr": "$(POD)"},
            ],
        ),
        volumes=[{"name": "v", "emptyDir": {}}],
    ),
    "a private registry": create_deployment_manifest(
        pod={"imagePullSecrets": [{"name": "regcred"}]}
    ),
    "names of hosts": create_deployment_manifest(
        pod={"hostAliases": [{"ip": "127.0.0.1", "hostnames": ["web.local"]}], "hostname": "web"}
    ),
    "spread over nodes": create_deployment_manifest(
        pod={
            "topologySpreadConstraints": [
                {
                    "maxSkew": 1,
                    "topologyKey": "kubernetes.io/hostname",
                    "whenUnsatisfiable": "ScheduleAnyway",
                    "labelSelector": {"matchLabels": {"app": "web"}},
                }
            ]
        }
    ),
    "away from each other": create_deployment_manifest(
        pod={
            "affinity": {
                "podAntiAffinity": {
                    "preferredDuringSchedulingIgnoredDuringExecution": [
                        {
                            "weight": 100,
                            "podAffinityTerm": {
                                "labelSelector": {"matchLabels": {"app": "web"}},
                                "topologyKey": "kubernetes.io/hostname",
                            },
                        }
                    ]
                }
            }
        }
    ),
    "what helm spells out": create_deployment_manifest(
        pod={
            "hostNetwork": False,
            "hostPID": False,
            "hostIPC": False,
            "dnsPolicy": "ClusterFirst",
            "restartPolicy": "Always",
            "schedulerName": "default-scheduler",
            "serviceAccountName": "default",
            "enableServiceLinks": False,
            "affinity": {},
            "initContainers": [],
            "volumes": [],
        }
    ),
    "linux": create_deployment_manifest(pod={"os": {"name": "linux"}}),
    "a Service": create_service_manifest(),
    "a Service by a port's name": create_service_manifest(
        ports=[{"port": 80, "targetPort": "http"}]
    ),
    "a Service of two ports": create_service_manifest(
        ports=[
            {"name": "http", "port": 80, "targetPort": 8080, "appProtocol": "http"},
            {"name": "grpc", "port": 9090},
        ]
    ),
    "a Service without an address": create_service_manifest("db", clusterIP="None"),
    "a sticky Service": create_service_manifest(
        sessionAffinity="ClientIP", sessionAffinityConfig={"clientIP": {"timeoutSeconds": 600}}
    ),
    "a ConfigMap": create_config_map_manifest(),
    "a ConfigMap of files": create_config_map_manifest(
        "site.conf-1",
        data={"index.html": "<h1>Hello ✓</h1>\n", "app.toml": 'port = 8080\nname = "web"\n'},
        binaryData={"favicon.ico": "AAABAA=="},
    ),
    "a labelled ConfigMap": with_metadata(
        create_config_map_manifest(), labels={"app": "web"}, annotations={"note": "by hand"}
    ),
    "an empty ConfigMap": create_config_map_manifest(data=None),
    "a Job": create_job_manifest(),
    "a Job as in Kubernetes' documentation": {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": "pi"},
        "spec": {
            "ttlSecondsAfterFinished": 600,
            "backoffLimit": 4,
            "template": {
                "metadata": {"name": "pi", "labels": {"app": "pi"}},
                "spec": create_pod_spec(
                    restartPolicy="Never",
                    containers=[
                        create_container(
                            name="pi",
                            image="perl:5.34.0",
                            command=["perl", "-Mbignum=bpi", "-wle", "print bpi(2000)"],
                        )
                    ],
                ),
            },
        },
    },
    "an indexed Job": create_job_manifest(
        completionMode="Indexed", completions=3, parallelism=1, activeDeadlineSeconds=600
    ),
    "a Job that tries again": create_job_manifest(pod={"restartPolicy": "OnFailure"}),
    "a suspended Job": create_job_manifest(suspend=True),
    "a CronJob": create_cron_job_manifest(),
    "a backup": create_cron_job_manifest(
        schedule="30 2 * * 1-5",
        timeZone="Europe/Berlin",
        concurrencyPolicy="Replace",
        startingDeadlineSeconds=300,
        successfulJobsHistoryLimit=1,
        failedJobsHistoryLimit=2,
        suspend=False,
        job={"activeDeadlineSeconds": 900},
        pod={
            "containers": [
                create_container(
                    name="pg-dump",
                    image="postgres:17-alpine",
                    command=["/bin/sh", "-c", 'pg_dump "$DATABASE_URL" | gzip > /backup/db.gz'],
                    envFrom=[{"secretRef": {"name": "database"}}],
                    volumeMounts=[{"name": "backup", "mountPath": "/backup"}],
                )
            ],
            "volumes": [{"name": "backup", "emptyDir": {"sizeLimit": "512Mi"}}],
        },
    ),
    "an hourly CronJob": create_cron_job_manifest(schedule="@hourly"),
    "a bare image": deployment({"name": "web", "image": IMAGE, "securityContext": SECURE}),
}
