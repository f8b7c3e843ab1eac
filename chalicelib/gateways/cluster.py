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
from dataclasses import dataclass
from datetime import datetime
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
from chalicelib.gateways.cluster_errors import (
    NO_ANSWER,
    AlreadyExists,
    ClusterAnswer,
    cluster_error,
)
from chalicelib.gateways.imports import FIRST_IMPORT
from chalicelib.gateways.seam import Outgoing, Seam
from chalicelib.ports import Applied, Cluster, LogQuery, SecretSummary

if TYPE_CHECKING:
    from kubernetes.dynamic import DynamicClient

FIELD_MANAGER: Final = "friends-api"

_log = logging.getLogger(__name__)

_JSON: Final = "application/json"
_APPLY: Final = "application/apply-patch+yaml"
# A page of a list, compressed, is a tenth as long, and comes in a third of the processor time. The
# server compresses what is long (128 KiB) and nothing else.
_ACCEPTED: Final = {"Accept": "application/json, */*", "Accept-Encoding": "gzip"}
_PAGE: Final = 500
_MOST_PAGES: Final = 10
_CONNECT_SECONDS: Final = 3.0
_READ_SECONDS: Final = 10.0
_ATTEMPTS: Final = 5
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
        self._clients: dict[str, tuple[float, DynamicClient]] = {}
        self._lock = threading.Lock()

    def open(self, name: str, deadline: Deadline, *, attempts: int = _ATTEMPTS) -> Cluster:
        """See Clusters."""
        self.client(name)
        return _OpenCluster(self, name, deadline, attempts)

    def client(self, name: str) -> "DynamicClient":
        """Return the named cluster's client; its kubeconfig is read again every five minutes."""
        with self._lock:
            made_at, client = self._clients.get(name, (0.0, None))
            if client is None or time.monotonic() - made_at > _KUBECONFIG_SECONDS:
                client = self._connect(name)
                self._clients[name] = (time.monotonic(), client)
            return client

    def forget(self, name: str, client: "DynamicClient") -> None:
        """Drop a client whose credentials were refused, unless it was replaced meanwhile."""
        with self._lock:
            if name in self._clients and self._clients[name][1] is client:
                del self._clients[name]

    def _connect(self, name: str) -> "DynamicClient":
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
        return DynamicClient(api, discoverer=_no_discovery)


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
        try:
            found = _parse(self._call(_Call("GET", _path(ref.kind, ref.namespace, ref.name))))
        except NotFound:
            return None
        _metadata(found)
        return found

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
        answer, _ = self._exchange(call)
        _require_success(answer)
        applied = _parse(answer.body)
        return Applied(
            applied,
            was_created=answer.status == HTTPStatus.CREATED,
            was_changed=_was_changed(applied, answer, time.monotonic() - started),
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

    def delete(self, ref: ObjectRef, *, seen: JsonObject | None = None) -> bool:
        """See Cluster."""
        path = _path(ref.kind, ref.namespace, ref.name)
        body: JsonObject = {
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "propagationPolicy": "Background",
        }
        if seen is not None:
            names = ("uid",) if ref.kind == kinds.NAMESPACE else ("uid", "resourceVersion")
            body["preconditions"] = {name: seen["metadata"][name] for name in names}
        answer, tries = self._exchange(_Call("DELETE", path, body=body))
        if answer.status == HTTPStatus.NOT_FOUND or (seen and answer.status == HTTPStatus.CONFLICT):
            # On a repeat, an earlier try deleted it and its answer was lost; another of that name
            # may be there by now, and stays.
            return tries > 1
        _require_success(answer)
        return True

    def read_log(self, namespace: str, pod: str, query: LogQuery) -> str:
        """See Cluster."""
        parameters = [
            ("container", query.container),
            ("tailLines", str(query.tail)),
            ("limitBytes", str(query.limit_bytes)),
            ("previous", str(query.previous).lower()),
        ]
        if query.since_seconds is not None:
            parameters.append(("sinceSeconds", str(query.since_seconds)))
        path = f"{_path(kinds.POD, namespace, pod)}/log"
        text = self._call(_Call("GET", path, parameters))
        return text[: query.limit_bytes].decode(errors="replace")

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

    def _send(self, client: "DynamicClient", call: "_Call") -> ClusterAnswer:
        # Imported here for the reason given at _connect.
        from kubernetes.client.exceptions import ApiException  # noqa: PLC0415
        from urllib3.exceptions import HTTPError  # noqa: PLC0415

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


def _items(value: object) -> list[JsonObject]:
    """Return a list's items, each of them something with a name."""
    if not isinstance(value, list):
        raise not_understood()
    for item in value:
        if not isinstance(_metadata(_mapping(item)).get("name"), str):
            raise not_understood()
    return value


def _metadata(thing: JsonObject) -> JsonObject:
    return _mapping(thing.get("metadata"))


def _mapping(value: object) -> JsonObject:
    if not isinstance(value, dict):
        raise not_understood()
    return value


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
