"""The Kubernetes kinds we use, so that no request asks the cluster what it serves."""

from dataclasses import dataclass
from typing import Final

from chalicelib.domain.model import JsonObject


@dataclass(frozen=True)
class Kind:
    """One kind at the one version that we speak."""

    name: str
    group: str
    version: str
    plural: str
    namespaced: bool = True

    @property
    def api_version(self) -> str:
        """The value of a manifest's apiVersion."""
        return f"{self.group}/{self.version}" if self.group else self.version


@dataclass(frozen=True)
class ObjectRef:
    """The address of one object. namespace is None for a cluster-scoped kind."""

    kind: Kind
    name: str
    namespace: str | None = None


NAMESPACE: Final = Kind("Namespace", "", "v1", "namespaces", namespaced=False)
RESOURCE_QUOTA: Final = Kind("ResourceQuota", "", "v1", "resourcequotas")
LIMIT_RANGE: Final = Kind("LimitRange", "", "v1", "limitranges")
SERVICE_ACCOUNT: Final = Kind("ServiceAccount", "", "v1", "serviceaccounts")
POD: Final = Kind("Pod", "", "v1", "pods")
SERVICE: Final = Kind("Service", "", "v1", "services")
CONFIG_MAP: Final = Kind("ConfigMap", "", "v1", "configmaps")
SECRET: Final = Kind("Secret", "", "v1", "secrets")
EVENT: Final = Kind("Event", "", "v1", "events")
DEPLOYMENT: Final = Kind("Deployment", "apps", "v1", "deployments")
JOB: Final = Kind("Job", "batch", "v1", "jobs")
CRON_JOB: Final = Kind("CronJob", "batch", "v1", "cronjobs")
NETWORK_POLICY: Final = Kind("NetworkPolicy", "networking.k8s.io", "v1", "networkpolicies")
ROLE_BINDING: Final = Kind("RoleBinding", "rbac.authorization.k8s.io", "v1", "rolebindings")
INGRESS_ROUTE: Final = Kind("IngressRoute", "traefik.io", "v1alpha1", "ingressroutes")

ALL_KINDS: Final = (
    NAMESPACE,
    RESOURCE_QUOTA,
    LIMIT_RANGE,
    SERVICE_ACCOUNT,
    POD,
    SERVICE,
    CONFIG_MAP,
    SECRET,
    EVENT,
    DEPLOYMENT,
    JOB,
    CRON_JOB,
    NETWORK_POLICY,
    ROLE_BINDING,
    INGRESS_ROUTE,
)
_BY_IDENTITY: Final = {(kind.api_version, kind.name): kind for kind in ALL_KINDS}


def ref_of(manifest: JsonObject) -> ObjectRef:
    """Return the address of a manifest of one of our kinds. Raises KeyError for another kind."""
    kind = _BY_IDENTITY[manifest["apiVersion"], manifest["kind"]]
    metadata = manifest["metadata"]
    return ObjectRef(kind, metadata["name"], metadata.get("namespace"))
