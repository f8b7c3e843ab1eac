"""The Kubernetes API through the official client, with what it does by itself switched off.

No discovery (26 requests), no model classes (half a second of imports): the kinds are our own
table, and objects stay JSON. Time limits, repeats and the naming of errors live here and nowhere
else. The client is imported when a cluster is first used, so that other routes wake fast.
"""

import itertools
import json
import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from chalicelib.domain import kinds
from chalicelib.domain.backoff import backoff_seconds
from chalicelib.domain.deadline import Deadline
from chalicelib.domain.errors import NotFound, UpstreamFailed, not_understood
from chalicelib.domain.kinds import Kind, ObjectRef, ref_of
from chalicelib.domain.model import JsonObject
from chalicelib.domain.ownership import FIELD_MANAGER
from chalicelib.domain.pod_logs import LogEnd, keep_end
from chalicelib.gateways.cluster_errors import (
    NO_ANSWER,
    AlreadyExists,
    ClusterAnswer,
    ListExpired,
    cluster_error,
    credential_ended,
    not_an_api_server,
)
from chalicelib.gateways.imports import FIRST_IMPORT
from chalicelib.gateways.seam import Outgoing, Seam
from chalicelib.ports import Applied, Cluster, KindMissing, LogQuery, SecretSummary

if TYPE_CHECKING:
    from kubernetes.dynamic import DynamicClient

_log = logging.getLogger(__name__)

_JSON: Final = "application/json"
_APPLY: Final = "application/apply-patch+yaml"
# A page of a list, compressed, is a tenth as long, and comes in a third of the processor time. The
# server compresses what is long (128 KiB) and nothing else.
_ACCEPTED: Final = {"Accept": "application/json, */*", "Accept-Encoding": "gzip"}
_PAGE: Final = 500
_MOST_PAGES: Final = 10
# A runtime writes a line in pieces of at most 16 KiB, each a line to the server: 500 are 8 MiB.
_MOST_LOG_BYTES: Final = 4 * 1024 * 1024
_CONNECT_SECONDS: Final = 3.0
_READ_SECONDS: Final = 10.0
_ATTEMPTS: Final = 5
# A list whose place the server has forgotten begins anew so many times.
_MOST_LISTINGS: Final = 3
_KUBECONFIG_SECONDS: Final = 300.0
# What a Secret's own values and their copies are called in its JSON.
_VALUE_FIELDS: Final = ("data", "stringData")
_DROPPED_FIELDS: Final = ("annotations", "managedFields")


class KubernetesClusters:
    """The Clusters of ports.py: one connection a cluster, kept warm between requests."""

    def __init__(
        self,
        read_kubeconfig: Callable[[str], str | None],
        *,
        allow_loopback: bool,
        seam: Seam | None = None,
    ) -> None:
        """Remember how to find a kubeconfig by cluster name; nothing is read yet."""
        self._read_kubeconfig = read_kubeconfig
        self.seam = seam or Seam()
        self._allow_loopback = allow_loopback
        self._connections: dict[str, _Connection] = {}
        self._lock = threading.Lock()

    def open(self, name: str, deadline: Deadline, *, attempts: int = _ATTEMPTS) -> Cluster:
        """See Clusters."""
        self.client(name)
        return _OpenCluster(self, name, deadline, attempts)

    def credential_ends_at(self, name: str) -> datetime | None:
        """See Clusters."""
        return self._connection(name).ends_at

    def client(self, name: str) -> "DynamicClient":
        """Return the named cluster's client; its kubeconfig is read again every five minutes."""
        return self._connection(name).client

    def _connection(self, name: str) -> "_Connection":
        with self._lock:
            connection = self._connections.get(name)
            if connection is None or connection.age_seconds > _KUBECONFIG_SECONDS:
                connection = self._connect(name)
                self._connections[name] = connection
            return connection

    def forget(self, name: str, client: "DynamicClient") -> None:
        """Drop a client that a new kubeconfig may mend, unless it was replaced meanwhile."""
        with self._lock:
            if name in self._connections and self._connections[name].client is client:
                del self._connections[name]

    def _connect(self, name: str) -> "_Connection":
        # Imported here, so that a route that needs no cluster never pays for it.
        with FIRST_IMPORT:
            from kubernetes.client import (  # noqa: PLC0415 - loads the client
                ApiClient,
                Configuration,
            )
            from kubernetes.dynamic import DynamicClient  # noqa: PLC0415 - loads the client

            from chalicelib.gateways.kubeconfig import parse_kubeconfig  # noqa: PLC0415 - loads yaml
            from chalicelib.gateways.tls import build_pool  # noqa: PLC0415 - loads urllib3

        text = self._read_kubeconfig(name)
        if text is None:
            msg = "The cluster has no kubeconfig. Ask an admin to store one."
            raise UpstreamFailed(msg, code="cluster_misconfigured")
        access = parse_kubeconfig(text, allow_loopback=self._allow_loopback)
        configuration = Configuration(host=access.server)
        if access.token is not None:
            configuration.api_key = {"authorization": f"Bearer {access.token}"}
        api = ApiClient(configuration)
        api.rest_client.pool_manager = build_pool(access, allow_loopback=self._allow_loopback)
        return _Connection(DynamicClient(api, discoverer=_no_discovery), access.ends_at)


@dataclass(frozen=True)
class _Connection:
    """A cluster's client, and when its credential ends, where it says so."""

    client: "DynamicClient"
    ends_at: datetime | None
    made_at: float = field(default_factory=time.monotonic)

    @property
    def age_seconds(self) -> float:
        return time.monotonic() - self.made_at


class _OpenCluster:
    """The Cluster of ports.py."""

    def __init__(
        self,
        clusters: KubernetesClusters,
        name: str,
        deadline: Deadline,
        attempts: int = _ATTEMPTS,
    ) -> None:
        self._clusters = clusters
        self._name = name
        self._deadline = deadline
        self._attempts = attempts

    def get(self, ref: ObjectRef) -> JsonObject | None:
        """See Cluster."""
        answer, _ = self._exchange(_Call("GET", _path(ref.kind, ref.namespace, ref.name)))
        _require_served(answer, ref.kind)
        if answer.status == HTTPStatus.NOT_FOUND:
            return None
        _require_success(answer, is_read=True)
        found = _parse(answer.body)
        _metadata(found)
        return found

    def get_at(self, ref: ObjectRef, version: str) -> JsonObject | None:
        """See Cluster. Only lists can be read at a version."""
        query = [
            ("fieldSelector", f"metadata.name={ref.name}"),
            ("resourceVersion", version),
            ("resourceVersionMatch", "Exact"),
        ]
        page = _parse(self._call(_Call("GET", _path(ref.kind, ref.namespace), query)))
        return next(iter(_items(page.get("items"))), None)

    def list_all(self, kind: Kind, namespace: str) -> list[JsonObject]:
        """See Cluster."""
        pages = itertools.islice(self._pages(kind, namespace), _MOST_PAGES)
        return list(itertools.chain.from_iterable(pages))

    def list_pages(self, kind: Kind, labels: str = "") -> Iterator[list[JsonObject]]:
        """See Cluster."""
        return self._pages(kind, None, labels)

    def _pages(
        self, kind: Kind, namespace: str | None, labels: str = ""
    ) -> Iterator[list[JsonObject]]:
        """Yield the pages of a list, each object once.

        The server keeps a list's place for some minutes. When it has forgotten it, the list begins
        anew, and what was yielded is left out. Source: Kubernetes API concepts, "410 Gone".
        """
        seen: set[tuple[str, str]] = set()
        for is_last_listing in (*[False] * (_MOST_LISTINGS - 1), True):
            try:
                for page in self._listing(kind, namespace, labels):
                    fresh = [each for each in page if _key(each) not in seen]
                    seen.update(map(_key, fresh))
                    if fresh or not page:
                        yield fresh
            except ListExpired:
                if is_last_listing:
                    raise
            else:
                return

    def _listing(
        self, kind: Kind, namespace: str | None, labels: str
    ) -> Iterator[list[JsonObject]]:
        selector = [("labelSelector", labels)] if labels else []
        token = ""
        while True:
            query = [("limit", str(_PAGE)), *([("continue", token)] if token else []), *selector]
            try:
                page = _parse(self._call(_Call("GET", _path(kind, namespace), query)))
            except NotFound:
                return
            yield _items(page.get("items"))
            token = _metadata(page).get("continue") or ""
            if not token:
                return

    def apply(
        self,
        manifest: JsonObject,
        *,
        force: bool,
        dry_run: bool = False,
        newly_permitted: bool = False,
    ) -> Applied:
        """See Cluster."""
        ref = ref_of(manifest)
        query = [("fieldManager", FIELD_MANAGER), ("fieldValidation", "Strict")]
        query += [("force", "true")] if force else []
        path = _path(ref.kind, ref.namespace, ref.name)
        query += _dry_run(dry_run)
        call = _Call("PATCH", path, query, manifest, _APPLY, newly_permitted=newly_permitted)
        started = time.monotonic()
        answer, tries = self._exchange(call)
        _require_served(answer, ref.kind)
        _require_success(answer)
        applied = _parse(answer.body)
        return Applied(
            applied,
            was_created=answer.status == HTTPStatus.CREATED,
            was_changed=_was_changed(applied, answer, time.monotonic() - started),
            # On a repeat, the first try may have made this version, or another client since.
            version_before=None if dry_run or tries > 1 else _version_before(applied),
        )

    def create(self, manifest: JsonObject, *, dry_run: bool = False) -> bool:
        """See Cluster."""
        ref = ref_of(manifest)
        query = [("fieldManager", FIELD_MANAGER), *_dry_run(dry_run)]
        try:
            self._call(_Call("POST", _path(ref.kind, ref.namespace), query, manifest))
        except AlreadyExists:
            return False
        return True

    def delete(
        self, ref: ObjectRef, *, seen: JsonObject | None = None, dry_run: bool = False
    ) -> bool:
        """See Cluster."""
        path = _path(ref.kind, ref.namespace, ref.name)
        body: JsonObject = {
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "propagationPolicy": "Background",
        }
        if seen is not None:
            is_known_by_content = ref.kind == kinds.INGRESS_ROUTE
            names = ("uid", "resourceVersion") if is_known_by_content else ("uid",)
            body["preconditions"] = {name: seen["metadata"][name] for name in names}
        # The server reads the options in the body and, where there is one, none in the query.
        body |= {"dryRun": ["All"]} if dry_run else {}
        answer, tries = self._exchange(_Call("DELETE", path, _dry_run(dry_run), body))
        if answer.status == HTTPStatus.NOT_FOUND:
            # On a repeat, an earlier try deleted it and its answer was lost.
            return tries > 1
        if seen and answer.status == HTTPStatus.CONFLICT:
            # Another object of that name, or one that has changed since: it stays.
            return False
        _require_success(answer)
        return True

    def read_log(self, namespace: str, pod: str, query: LogQuery) -> LogEnd:
        """See Cluster.

        The server's own limit cuts the newest lines off: it counts from the first of the last. So
        it is far beyond what is shown, and where it is met, half as many lines are asked for.
        """
        path = f"{_path(kinds.POD, namespace, pod)}/log"
        tail = query.tail
        log = self._call(_Call("GET", path, _log_parameters(query, tail)))
        while len(log) >= _MOST_LOG_BYTES and tail > 1:
            tail //= 2
            log = self._call(_Call("GET", path, _log_parameters(query, tail)))
        return keep_end(log, query.limit_bytes, truncated=tail < query.tail)

    def list_secrets(self, namespace: str) -> list[SecretSummary]:
        """See Cluster."""
        path = _path(kinds.SECRET, namespace)
        answer = self._call(_Call("GET", path, [("limit", str(_PAGE))]))
        page = _parse(answer, _without_values)
        return [_summarise_secret(item) for item in _items(page.get("items"))]

    def _call(self, call: "_Call") -> bytes:
        """Return the body of a successful answer; raise our error for any other."""
        answer, _ = self._exchange(call)
        _require_success(answer, is_read=call.method == "GET")
        return answer.body

    def _exchange(self, call: "_Call") -> tuple[ClusterAnswer, int]:
        """Return the server's last word and how many tries it took.

        Tries again, while time allows, what may pass: no connection, 429, 5xx; and once, with a
        fresh kubeconfig, what was not authorised.
        """
        reloaded = False
        for tries in itertools.count(1):
            client = self._clusters.client(self._name)
            answer = self._send(client, call)
            if answer.status == HTTPStatus.UNAUTHORIZED and not reloaded:
                self._clusters.forget(self._name, client)
                reloaded = True
                continue
            if not call.may_pass(answer) or tries >= self._attempts:
                self._require_word_of_api_server(answer)
                return answer, tries
            delay = answer.retry_after_seconds or backoff_seconds(tries)
            if delay >= self._deadline.remaining_seconds:
                return answer, tries
            _log.warning(
                "cluster call repeated",
                extra={"cluster": self._name, "method": call.method, "status": answer.status},
            )
            time.sleep(delay)
        raise AssertionError

    def _require_word_of_api_server(self, answer: ClusterAnswer) -> None:
        """Raise the true cause where it was not the API server that refused, or a token ended."""
        if answer.is_of_a_proxy:
            raise not_an_api_server(answer.status)
        if answer.status == HTTPStatus.UNAUTHORIZED:
            ends_at = self._clusters.credential_ends_at(self._name)
            if ends_at is not None and ends_at <= datetime.now(UTC):
                raise credential_ended(ends_at)

    def _send(self, client: "DynamicClient", call: "_Call") -> ClusterAnswer:
        # Imported here for the reason given at _connect.
        from kubernetes.client.exceptions import ApiException  # noqa: PLC0415
        from urllib3.exceptions import HTTPError  # noqa: PLC0415

        from chalicelib.gateways.tls import explain_certificate  # noqa: PLC0415 - loads the client

        read_seconds = self._deadline.bound(_READ_SECONDS)
        request = partial(
            client.request,
            call.method,
            call.path,
            body=call.body,
            query_params=list(call.query),
            # A copy: the client adds the credential to it.
            header_params=dict(_ACCEPTED),
            content_type=call.content_type,
            serialize=False,
            _request_timeout=(min(_CONNECT_SECONDS, read_seconds), read_seconds),
        )
        try:
            answer = self._clusters.seam.send(call.outgoing, request)
            return ClusterAnswer(answer.status, answer.headers, answer.data)
        except ApiException as error:
            # Status 0 is the client's word for a TLS failure.
            if not error.status and (refusal := explain_certificate(error)):
                self._clusters.forget(self._name, client)
                raise refusal from None
            return ClusterAnswer(error.status or 0, error.headers or {}, _bytes(error.body))
        except HTTPError:
            return NO_ANSWER


@dataclass(frozen=True)
class _Call:
    """One HTTP call, as data."""

    method: str
    path: str
    query: Sequence[tuple[str, str]] = ()
    body: JsonObject | None = None
    content_type: str = _JSON
    newly_permitted: bool = False

    @property
    def outgoing(self) -> Outgoing:
        """What the seam is told of the call. A dry run changes nothing."""
        is_write = self.method != "GET" and ("dryRun", "All") not in self.query
        return Outgoing("cluster", f"{self.method} {self.path}", is_write)

    def may_pass(self, answer: ClusterAnswer) -> bool:
        """Tell whether the same call may succeed a moment after this answer."""
        if self.method == "DELETE" and answer.status == HTTPStatus.CONFLICT:
            # It is not what was seen any more, and never will be again.
            return False
        if self.newly_permitted and answer.status == HTTPStatus.FORBIDDEN:
            return True
        return answer.may_pass


def _log_parameters(query: LogQuery, tail: int) -> list[tuple[str, str]]:
    parameters = [
        ("container", query.container),
        ("tailLines", str(tail)),
        ("limitBytes", str(_MOST_LOG_BYTES)),
        ("previous", str(query.previous).lower()),
    ]
    if query.since_seconds is not None:
        parameters.append(("sinceSeconds", str(query.since_seconds)))
    return parameters


def _path(kind: Kind, namespace: str | None, name: str | None = None) -> str:
    from kubernetes.dynamic.resource import Resource  # noqa: PLC0415 - see _connect

    resource = Resource(
        prefix="apis" if kind.group else "api",
        group=kind.group,
        api_version=kind.version,
        kind=kind.name,
        namespaced=kind.namespaced,
        name=kind.plural,
    )
    return str(resource.path(name=name, namespace=namespace))


def _no_discovery(_client: object, _cache_file: object) -> None:
    """Discover nothing: the kinds are ours."""


def _parse(
    body: bytes, hook: Callable[[list[tuple[str, Any]]], JsonObject] | None = None
) -> JsonObject:
    try:
        return _mapping(json.loads(body, object_pairs_hook=hook))
    except (ValueError, RecursionError):
        raise not_understood() from None


def _was_changed(applied: JsonObject, answer: ClusterAnswer, took_seconds: float) -> bool:
    """Tell whether this very apply changed the object, by the date of our manager's entry.

    An apply that changes nothing leaves the date; one that changes anything sets it, in whole
    seconds, by the clock of the server that answers. Source: managedFieldsUpdater.Apply in
    structured-merge-diff's wiring, k8s.io/apimachinery/pkg/util/managedfields/internal.
    """
    entries = _metadata(applied).get("managedFields") or []
    ours = {"manager": FIELD_MANAGER, "operation": "Apply"}
    try:
        dated = next(each["time"] for each in entries if ours.items() <= each.items())
        age = parsedate_to_datetime(answer.headers["Date"]) - datetime.fromisoformat(dated)
    except (AttributeError, KeyError, StopIteration, TypeError, ValueError):
        return True
    return age.total_seconds() <= took_seconds + 1


def _version_before(applied: JsonObject) -> str | None:
    """Return the version of everything just before this object was written.

    None where another manager applies the object too: a new share of ours is a change then.
    Versions count the writes of a server, and may be compared as numbers since Kubernetes 1.35
    (KEP-5504); etcd and kine have always counted so. Where a server does not, get_at fails.
    """
    appliers = {
        each.get("manager")
        for each in _metadata(applied).get("managedFields") or []
        if isinstance(each, dict) and each.get("operation") == "Apply"
    }
    if appliers != {FIELD_MANAGER}:
        return None
    version = _metadata(applied).get("resourceVersion")
    if not (isinstance(version, str) and version.isascii() and version.isdigit()):
        return None
    return str(int(version) - 1)


def _items(value: object) -> list[JsonObject]:
    """Return a list's items, each of them something with a name."""
    if not isinstance(value, list):
        raise not_understood()
    for item in value:
        if not isinstance(_metadata(_mapping(item)).get("name"), str):
            raise not_understood()
    return value


def _key(item: JsonObject) -> tuple[str, str]:
    metadata = item["metadata"]
    return metadata.get("namespace") or "", metadata["name"]


def _metadata(thing: JsonObject) -> JsonObject:
    return _mapping(thing.get("metadata"))


def _mapping(value: object) -> JsonObject:
    if not isinstance(value, dict):
        raise not_understood()
    return value


def _require_served(answer: ClusterAnswer, kind: Kind) -> None:
    if answer.lacks_kind:
        raise KindMissing(kind)


def _require_success(answer: ClusterAnswer, *, is_read: bool = False) -> None:
    if not answer.is_success:
        raise cluster_error(answer, is_read=is_read)


def _dry_run(dry_run: bool) -> list[tuple[str, str]]:  # noqa: FBT001 - a pass-through of the port's flag
    return [("dryRun", "All")] if dry_run else []


def _bytes(body: object) -> bytes:
    if isinstance(body, bytes):
        return body
    return str(body or "").encode()


def _without_values(pairs: list[tuple[str, Any]]) -> JsonObject:
    """Keep of a Secret what may be shown, while it is being parsed: its values never exist."""
    return {
        key: _names_only(value) if key in _VALUE_FIELDS and not isinstance(value, str) else value
        for key, value in pairs
        # A secret's own key may be called "annotations" too; its value is a string.
        if key not in _DROPPED_FIELDS or isinstance(value, str)
    }


def _names_only(value: object) -> tuple[str, ...]:
    # A tuple, which no JSON holds, so that a list in its place is not taken for names.
    return tuple(sorted(value)) if isinstance(value, dict) else ()


def _summarise_secret(secret: JsonObject) -> SecretSummary:
    metadata = secret["metadata"]
    return SecretSummary(
        name=metadata["name"],
        type=secret.get("type", "Opaque"),
        keys=names if isinstance(names := secret.get("data"), tuple) else (),
        created=metadata.get("creationTimestamp", ""),
    )
