"""What clients are shown of the cluster's objects, as types. See shown."""

from typing import Annotated, TypedDict

Age = Annotated[str | None, "When it was made (ISO 8601, UTC)."]


class Container(TypedDict):
    """One container of a pod. reason says why it waits or has ended."""

    name: str
    image: str | None
    ready: bool
    restarts: int
    state: str | None
    reason: str | None


class Pod(TypedDict):
    """A pod. reason says why it does not start; age is when it was made."""

    name: str
    status: str
    ready: bool
    restarts: int
    image: str | None
    age: Age
    reason: str | None
    containers: list[Container]


class ServicePort(TypedDict):
    """One port of a Service. targetPort is a number, or a container port's name."""

    name: str | None
    port: int | None
    targetPort: int | str | None
    protocol: str | None


class Service(TypedDict):
    """A Service."""

    name: str
    type: str | None
    clusterIP: str | None
    ports: list[ServicePort]


class Deployment(TypedDict):
    """A Deployment. replicas is ready/desired."""

    name: str
    replicas: str
    image: str | None
    age: Age


class Job(TypedDict):
    """A Job. completions is succeeded/wanted."""

    name: str
    status: str
    completions: str
    age: Age


class CronJob(TypedDict):
    """A CronJob."""

    name: str
    schedule: str | None
    suspended: bool
    last_scheduled: Annotated[str | None, "When it last made a Job (ISO 8601, UTC)."]
    age: Age


class Quota(TypedDict):
    """The friend's quota: the limits, and what is used of them."""

    hard: dict[str, str]
    used: dict[str, str]


class RouteTarget(TypedDict):
    """From where to where a route leads."""

    name: str
    hostname: str | None
    service: str | None


class IngressRoute(RouteTarget):
    """A route from a host name to a Service. problem says what its Service lacks.

    Whether a visitor reaches a pod, the list of exposures says.
    """

    problem: str | None


class Event(TypedDict):
    """A warning about something that does not run now."""

    kind: str | None
    name: str | None
    reason: str | None
    message: Annotated[str, "The cluster's words; commands and URLs' paths are taken out."]
    count: int
    last_seen: Annotated[str | None, "When it last happened (ISO 8601, UTC)."]


class NamespaceStatus(TypedDict):
    """Everything about the namespace, and why what does not run does not."""

    pods: list[Pod]
    services: list[Service]
    deployments: list[Deployment]
    quota: Quota | None
    ingressRoutes: list[IngressRoute]
    jobs: list[Job]
    cronjobs: list[CronJob]
    events: list[Event]
