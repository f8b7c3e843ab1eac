"""How much of a cluster one friend may use."""

from dataclasses import dataclass, field
from typing import Final


@dataclass(frozen=True)
class Tier:
    """The figures of one tier, as Kubernetes quantities in their canonical spelling.

    Canonical matters: the API server keeps what we write, so comparing needs no arithmetic.
    storage is ephemeral-storage: what a container writes to its node's disk, emptyDir included.
    """

    quota_cpu: str
    quota_memory: str
    quota_storage: str
    pods: int
    volume_claims: int
    default_cpu: str
    default_memory: str
    default_storage: str
    request_cpu: str
    request_memory: str
    request_storage: str
    max_cpu: str
    max_memory: str
    max_storage: str
    object_counts: dict[str, int] = field(default_factory=dict)


TIERS: Final = {
    "default": Tier(
        quota_cpu="500m",
        quota_memory="512Mi",
        quota_storage="3Gi",
        pods=3,
        volume_claims=2,
        default_cpu="100m",
        default_memory="64Mi",
        default_storage="512Mi",
        request_cpu="50m",
        request_memory="32Mi",
        request_storage="64Mi",
        max_cpu="500m",
        max_memory="256Mi",
        max_storage="1Gi",
        object_counts={
            "count/configmaps": 20,
            "count/cronjobs.batch": 5,
            "count/deployments.apps": 10,
            "count/jobs.batch": 20,
            # Finished pods too: they are objects like any other until their Job goes.
            "count/pods": 60,
            "count/replicasets.apps": 110,
            "count/secrets": 20,
            "count/services": 10,
            "services.loadbalancers": 0,
            "services.nodeports": 0,
        },
    )
}
DEFAULT_TIER: Final = "default"
