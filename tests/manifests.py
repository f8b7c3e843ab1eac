"""Manifests that admission accepts, as friends' agents write them; a test spoils what it is about.

Every builder returns new objects. Keyword arguments are members of the spec (of a ConfigMap, of
the manifest); one that is None leaves the member out. The pods are hardened already.
"""

from typing import Any

Manifest = dict[str, Any]

IMAGE = "ghcr.io/friends/web:1.4.2"


def without_none(fields: Manifest) -> Manifest:
    """Return the fields that are there."""
    return {name: value for name, value in fields.items() if value is not None}


def create_container(**fields: Any) -> Manifest:
    """Return a hardened container with resources that fit many times into a friend's quota."""
    return without_none(
        {
            "name": "web",
            "image": IMAGE,
            "securityContext": {
                "allowPrivilegeEscalation": False,
                "capabilities": {"drop": ["ALL"]},
            },
            "resources": {
                "requests": {"cpu": "10m", "memory": "16Mi"},
                "limits": {"cpu": "50m", "memory": "32Mi"},
            },
            **fields,
        }
    )


def create_pod_spec(**fields: Any) -> Manifest:
    """Return a hardened pod spec of one container."""
    return without_none(
        {
            "automountServiceAccountToken": False,
            "securityContext": {
                "runAsNonRoot": True,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [create_container()],
            **fields,
        }
    )


def create_deployment_manifest(
    name: str = "web", *, pod: Manifest | None = None, **spec: Any
) -> Manifest:
    """Return a Deployment of one pod; pod holds members of the pod's spec."""
    labels = {"app": name}
    template = {"metadata": {"labels": dict(labels)}, "spec": create_pod_spec(**(pod or {}))}
    fields = {"replicas": 1, "selector": {"matchLabels": labels}, "template": template, **spec}
    return _manifest("apps/v1", "Deployment", name, spec=without_none(fields))


def create_job_manifest(
    name: str = "migrate", *, pod: Manifest | None = None, **spec: Any
) -> Manifest:
    """Return a Job of one pod that cleans up after itself; pod holds members of the pod's spec."""
    return _manifest("batch/v1", "Job", name, spec=_job_spec(pod, spec))


def create_cron_job_manifest(
    name: str = "backup",
    *,
    pod: Manifest | None = None,
    job: Manifest | None = None,
    **spec: Any,
) -> Manifest:
    """Return a nightly CronJob; job holds members of the Job's spec, pod of the pod's."""
    fields = {
        "schedule": "0 3 * * *",
        "concurrencyPolicy": "Forbid",
        "jobTemplate": {"spec": _job_spec(pod, job or {})},
        **spec,
    }
    return _manifest("batch/v1", "CronJob", name, spec=without_none(fields))


def create_service_manifest(name: str = "web", **spec: Any) -> Manifest:
    """Return a Service on port 80 for the pods of the Deployment of the same name."""
    fields = {"selector": {"app": name}, "ports": [{"port": 80, "targetPort": 8080}], **spec}
    return _manifest("v1", "Service", name, spec=without_none(fields))


def create_config_map_manifest(name: str = "settings", **fields: Any) -> Manifest:
    """Return a ConfigMap of one key."""
    return _manifest("v1", "ConfigMap", name, **{"data": {"colour": "blue"}, **fields})


def _job_spec(pod: Manifest | None, fields: Manifest) -> Manifest:
    template = {"spec": create_pod_spec(**{"restartPolicy": "Never", **(pod or {})})}
    usual = {"backoffLimit": 2, "ttlSecondsAfterFinished": 3600, "template": template}
    return without_none({**usual, **fields})


def _manifest(api_version: str, kind: str, name: str, **fields: Any) -> Manifest:
    metadata = {"name": name}
    return without_none({"apiVersion": api_version, "kind": kind, "metadata": metadata, **fields})


def spell_out_defaults() -> dict[str, tuple[Manifest, Manifest]]:
    """Return manifests, each with another that says the same and some of the server's defaults."""
    port = {"port": 80, "targetPort": 8080, "protocol": "TCP"}
    pod = {"dnsPolicy": "ClusterFirst", "terminationGracePeriodSeconds": 30}
    container = create_container(
        terminationMessagePath="/dev/termination-log", terminationMessagePolicy="File"
    )
    return {
        "Service": (
            create_service_manifest(),
            create_service_manifest(type="ClusterIP", sessionAffinity="None", ports=[port]),
        ),
        "Deployment": (
            create_deployment_manifest(),
            create_deployment_manifest(
                revisionHistoryLimit=10,
                progressDeadlineSeconds=600,
                pod={**pod, "restartPolicy": "Always", "containers": [container]},
            ),
        ),
        "CronJob": (
            create_cron_job_manifest(),
            create_cron_job_manifest(suspend=False, failedJobsHistoryLimit=1, job={}, pod=pod),
        ),
        "Job": (
            create_job_manifest(),
            create_job_manifest(parallelism=1, completions=1, suspend=False, pod=pod),
        ),
    }
