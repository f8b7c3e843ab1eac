"""A double of a Kubernetes API server, at the wire: what the `kube_*` modules decide, over HTTPS.

    with serve() as cluster:
        ...  # point a client at cluster.kubeconfig()

It exists because the product's behaviour against a cluster is mostly its behaviour against
refusals (conflicts, quota, Pod Security, a namespace that is ending), which no other double gives.
It is as good as its contract suite, which passes on it and on a real API server.
`python -m infra.local.cluster` runs it as a process.
"""

import argparse
import base64
import hmac
import json
import os
import secrets
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Final
from urllib.parse import unquote

import yaml

from infra.local import kube_objects as kinds
from infra.local.certificates import build_server_tls
from infra.local.kube_api import Call, KubeApi
from infra.local.kube_controllers import Timing
from infra.local.kube_discovery import discover
from infra.local.kube_objects import (
    GROUP_VERSIONS,
    GROUPS,
    KIND_BY_PLURAL,
    Fault,
    Json,
    Kind,
    Obj,
    Refused,
    bad_request,
    invalid,
)
from infra.local.kube_pods import read_log
from infra.local.kube_selectors import page, parse_field_selector, parse_label_selector
from infra.local.kube_tables import build_table, is_asked_for
from infra.local.wire import Answer, Request, Wire, announce_and_wait, serve_on_loopback

_PUBLIC: Final = frozenset({"/readyz", "/livez", "/healthz"})
_LARGEST_BODY: Final = 3 * 1024 * 1024
_APPLY_TYPES: Final = frozenset({"application/apply-patch+yaml"})
_MERGE: Final = "application/merge-patch+json"
_STRATEGIC: Final = "application/strategic-merge-patch+json"
# What `kubectl create` and its like send; the double speaks JSON alone.
_PROTOBUF: Final = "application/vnd.kubernetes.protobuf"
_LONGEST_WATCH_SECONDS: Final = 1.0
_WATCH_STEP_SECONDS: Final = 0.02
_REASONS: Final = {
    401: "Unauthorized",
    403: "Forbidden",
    404: "NotFound",
    409: "Conflict",
    410: "Expired",
    429: "TooManyRequests",
    500: "InternalError",
    503: "ServiceUnavailable",
    504: "Timeout",
}


class ClusterDouble(Wire):
    """The double's state and its switches, beside `Wire`'s request log and faults."""

    def __init__(self, token: str, timing: Timing, latency_seconds: float) -> None:
        """Hold an empty cluster that one bearer token may do anything in."""
        super().__init__()
        self.url = ""
        self.ca_pem = ""
        self.token = token
        self.timing = timing
        self.latency_seconds = latency_seconds
        self._first_timing = asdict(timing)
        self._first_latency_seconds = latency_seconds
        self._api = KubeApi(timing)
        self._undefined: dict[str, bool] = {}
        self._state_lock = threading.RLock()

    def kubeconfig(self) -> str:
        """Return a kubeconfig with the token and the authority inside it."""
        authority = base64.b64encode(self.ca_pem.encode()).decode()
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [
                {
                    "name": "local",
                    "cluster": {"server": self.url, "certificate-authority-data": authority},
                }
            ],
            "users": [{"name": "local", "user": {"token": self.token}}],
            "contexts": [{"name": "local", "context": {"cluster": "local", "user": "local"}}],
            "current-context": "local",
        }
        return yaml.safe_dump(config, sort_keys=False)

    def fail_next(  # noqa: PLR0913 - each is one switch of a fault, given by name
        self,
        *,
        status: int = 503,
        times: int = 1,
        headers: Mapping[str, str] | None = None,
        body: object = None,
        match: str = "",
        drop: bool = False,
        after: bool = False,
    ) -> None:
        """Make the next requests fail, as `Wire.fail_next`; body None, or a dict, is a Status."""
        if body is None:
            reason = _REASONS.get(status, "")
            body = Refused(status, reason, f"injected: {status} {reason}".rstrip()).status()
        elif isinstance(body, dict):
            # As every refusal of an API server's: what is no Status is a proxy's.
            body = {"kind": "Status", "apiVersion": "v1", **body}
        super().fail_next(
            status=status,
            times=times,
            headers=headers,
            body=body,
            match=match,
            drop=drop,
            after=after,
        )

    def reset(self) -> None:
        """Drop every object, the request log and the faults; timing and latency start over."""
        with self._state_lock:
            for name, value in self._first_timing.items():
                setattr(self.timing, name, value)
            self._api.reset()
            self._undefined.clear()
        self.clear()
        self.latency_seconds = self._first_latency_seconds

    def undefine(self, kind: Kind, *, others_stay: bool = False) -> None:
        """Delete a custom kind's definition, and with it its objects.

        others_stay: its group has other kinds, so that a path of this one's gets a Status.
        """
        with self._state_lock:
            self._undefined[kind.api_version] = others_stay
            for obj in self._api.store.list(kind):
                self._api.store.remove(kind, obj)

    def define(self, kind: Kind) -> None:
        """Define a custom kind again."""
        with self._state_lock:
            del self._undefined[kind.api_version]

    def objects(self, kind: Kind, namespace: str = "") -> list[Obj]:
        """Return a kind's objects, as they are kept, without a request. Do not change them."""
        with self._state_lock:
            self._api.schedule.run_due()
            return self._api.store.list(kind, namespace)

    def save(self) -> Callable[[], None]:
        """Return a function that brings all objects back as they are now, and clears the rest."""
        with self._state_lock:
            restore_objects = self._api.save()

        def restore() -> None:
            with self._state_lock:
                restore_objects()
            self.clear()

        return restore

    def respond(self, request: Request) -> Answer:
        """Answer one request."""
        if request.path in _PUBLIC:
            return Answer(200, b"ok", {"content-type": "text/plain; charset=utf-8"})
        try:
            self._authenticate(request)
            if request.query.get("watch") in {"true", "1"}:
                answer = self._watch(request)
            else:
                with self._state_lock:
                    self._api.schedule.run_due()
                    answer = self._route(request)
        except Refused as refused:
            answer = Answer(refused.code, refused.status())
        headers = {"audit-id": str(uuid.uuid4()), "cache-control": "no-cache, private"}
        return Answer(answer.status, answer.body, headers | dict(answer.headers))

    def _authenticate(self, request: Request) -> None:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        known = hmac.compare_digest(token.encode(), self.token.encode())
        if scheme.lower() != "bearer" or not known:
            raise Refused(401, "Unauthorized", "Unauthorized")

    def _route(self, request: Request) -> Answer:
        for version, others_stay in self._undefined.items():
            if request.path.startswith(f"/apis/{version}"):
                if others_stay:
                    raise _unknown_resource()
                return _no_such_path()
        found = discover(request.path)
        if found is not None and request.method == "GET":
            return Answer(200, found)
        address = _parse_path(request.path)
        if address is None:
            return _no_such_path()
        kind, namespace, name, below = address
        if below:
            return self._read_log(request, kind, namespace, name)
        if not name:
            return self._serve_collection(request, kind, namespace)
        return self._serve_object(request, kind, namespace, name)

    def _read_log(self, request: Request, kind: Kind, namespace: str, name: str) -> Answer:
        if request.method != "GET":
            raise _method_not_allowed()
        pod = self._api.get(kind, namespace, name)
        if "containerStatuses" not in pod["status"]:
            return Answer(204)
        return Answer(200, read_log(pod, request.query), {"content-type": "text/plain"})

    def _serve_collection(self, request: Request, kind: Kind, namespace: str) -> Answer:
        if request.method == "GET":
            return Answer(200, self._list(request, kind, namespace))
        if request.method != "POST" or (kind.namespaced and not namespace):
            raise _method_not_allowed()
        call = _call(request, kind, namespace, "")
        created = self._api.create(call, _parse_body(request))
        return Answer(201, _typed(kind, created), _warnings(call))

    def _serve_object(self, request: Request, kind: Kind, namespace: str, name: str) -> Answer:
        call = _call(request, kind, namespace, name)
        if request.method == "GET":
            found = self._api.get(kind, namespace, name)
            if is_asked_for(request.headers.get("accept", "")):
                version = found["metadata"]["resourceVersion"]
                return Answer(200, build_table(kind, [found], {"resourceVersion": version}))
            return Answer(200, _typed(kind, found))
        if request.method == "PUT":
            replaced = self._api.replace(call, _parse_body(request))
            return Answer(200, _typed(kind, replaced), _warnings(call))
        if request.method == "PATCH":
            return self._patch(request, call)
        if request.method == "DELETE":
            # Options in the body are all the options: those in the query are not read then.
            options = _parse_body(request) if request.body else {**request.query}
            call = replace(call, dry_run=options.get("dryRun") in (["All"], "All"))
            return Answer(200, _typed(kind, self._api.delete(call, options)))
        raise _method_not_allowed()

    def _patch(self, request: Request, call: Call) -> Answer:
        content_type = _content_type(request)
        if content_type in _APPLY_TYPES:
            if not request.query.get("fieldManager"):
                raise _no_field_manager()
            obj, created = self._api.apply(call, _parse_body(request, yaml_too=True))
            return Answer(201 if created else 200, _typed(call.kind, obj), _warnings(call))
        if content_type not in {_MERGE, _STRATEGIC} or (
            content_type == _STRATEGIC and call.kind.custom
        ):
            raise _unsupported_media_type()
        strategic = content_type == _STRATEGIC
        patched = self._api.patch(call, _parse_body(request), strategic=strategic)
        return Answer(200, _typed(call.kind, patched), _warnings(call))

    def _list(self, request: Request, kind: Kind, namespace: str) -> Obj:
        labels = parse_label_selector(request.query.get("labelSelector", ""))
        fields = parse_field_selector(kind, request.query.get("fieldSelector", ""))
        revision, objects = self._read_list(request.query, kind, namespace)
        found = [obj for obj in objects if labels(obj) and fields(obj)]
        items, metadata = page(found, request.query, revision)
        if is_asked_for(request.headers.get("accept", "")):
            return build_table(kind, items, metadata)
        if kind.custom:
            items = [_typed(kind, item) for item in items]
        return {
            "kind": f"{kind.name}List",
            "apiVersion": kind.api_version,
            "metadata": metadata,
            "items": items,
        }

    def _read_list(
        self, query: Mapping[str, str], kind: Kind, namespace: str
    ) -> tuple[int, Sequence[Obj]]:
        """Return the revision that is read, and the objects: now, or exactly at an earlier one."""
        store = self._api.store
        if query.get("resourceVersionMatch") != "Exact":
            return store.revision, store.list(kind, namespace)
        revision = int(query.get("resourceVersion") or 0)
        objects = store.read_at(revision, kind, namespace)
        if objects is None:
            raise Refused(410, "Expired", "The provided resource version is too old.", {})
        return revision, objects

    def _watch(self, request: Request) -> Answer:
        """Answer with the changes since a revision, or wait a little; a client asks again."""
        address = _parse_path(request.path)
        if address is None:
            return _no_such_path()
        kind, namespace, name, _ = address
        labels = parse_label_selector(request.query.get("labelSelector", ""))
        fields = parse_field_selector(kind, request.query.get("fieldSelector", ""))
        since = int(request.query.get("resourceVersion") or 0)
        asked = float(request.query.get("timeoutSeconds") or _LONGEST_WATCH_SECONDS)
        deadline = time.monotonic() + min(asked, _LONGEST_WATCH_SECONDS)
        while True:
            with self._state_lock:
                self._api.schedule.run_due()
                lines = [
                    json.dumps({"type": change.what, "object": _typed(kind, change.object)})
                    for change in self._api.store.changes
                    if change.kind == kind
                    and change.revision > since
                    and namespace in {"", change.object["metadata"].get("namespace", "")}
                    and name in {"", change.object["metadata"]["name"]}
                    and labels(change.object)
                    and fields(change.object)
                ]
            if lines or time.monotonic() >= deadline:
                body = "".join(f"{line}\n" for line in lines).encode()
                return Answer(200, body, {"content-type": "application/json"})
            time.sleep(_WATCH_STEP_SECONDS)


@contextmanager
def serve(  # noqa: PLR0913 - each is one setting, given by name
    *,
    port: int = 0,
    token: str | None = None,
    latency_seconds: float = 0.0,
    service_account_seconds: float = 0.0,
    termination_seconds: float = 0.0,
    pod_start_seconds: float = 0.0,
) -> Iterator[ClusterDouble]:
    """Serve the double on loopback until the block ends.

    Without a token, one is made. The other times are those of `Timing`; math.inf as
    termination_seconds holds a deleted namespace for ever. Raises OSError when the port is taken.
    """
    timing = Timing(service_account_seconds, termination_seconds, pod_start_seconds)
    double = ClusterDouble(token or secrets.token_urlsafe(30), timing, latency_seconds)
    context, double.ca_pem = build_server_tls()
    with serve_on_loopback(double, double.respond, port=port, tls=context) as url:
        double.url = url
        yield double


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the double as a process, until SIGTERM."""
    parser = argparse.ArgumentParser(prog="python -m infra.local.cluster", description=main.__doc__)
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--token", help="the one token to accept (default: a random one)")
    parser.add_argument("--kubeconfig-out", type=Path, metavar="FILE", help="where to write it")
    options = parser.parse_args(arguments)
    times = Timing()
    with serve(port=options.port, token=options.token, **asdict(times)) as double:
        ready: dict[str, object] = {"ready": True, "url": double.url, "token": double.token}
        if options.kubeconfig_out is not None:
            _write_private(options.kubeconfig_out, double.kubeconfig())
            ready["kubeconfig"] = str(options.kubeconfig_out)
        announce_and_wait(ready)


def _write_private(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
        file.write(text)


def _call(request: Request, kind: Kind, namespace: str, name: str) -> Call:
    agent = request.headers.get("user-agent", "")
    return Call.from_query(kind, namespace, name, request.query, agent)


def _parse_path(path: str) -> tuple[Kind, str, str, str] | None:
    """Return kind, namespace, name and subresource; None for a group that is not served.

    Raises Refused (404) for a resource that the group does not have.
    """
    parts = [unquote(part) for part in path.strip("/").split("/")]
    if parts[:2] == ["api", "v1"]:
        version, rest = "v1", parts[2:]
    elif parts[0] == "apis" and "/".join(parts[1:3]) in GROUP_VERSIONS:
        version, rest = "/".join(parts[1:3]), parts[3:]
    elif parts[0] == "apis" and parts[1:2] and parts[1] in GROUPS:
        raise _unknown_resource()
    else:
        return None
    namespace = ""
    if rest[:1] == ["namespaces"] and rest[2:]:
        namespace, rest = rest[1], rest[2:]
    plural, name, below, *more = *rest, "", "", ""
    kind = KIND_BY_PLURAL.get((version, plural))
    if kind is None or any(more) or (namespace and not kind.namespaced):
        raise _unknown_resource()
    if name and kind.namespaced and not namespace:
        raise _unknown_resource()
    if below and (kind, below) != (kinds.POD, "log"):
        raise _unknown_resource()
    return kind, namespace, name, below


def _unknown_resource() -> Refused:
    return Refused(404, "NotFound", "the server could not find the requested resource", {})


def _method_not_allowed() -> Refused:
    message = "the server does not allow this method on the requested resource"
    return Refused(405, "MethodNotAllowed", message, {})


def _unsupported_media_type() -> Refused:
    return Refused(415, "UnsupportedMediaType", "415: Unsupported Media Type", {})


def _no_field_manager() -> Refused:
    fault = Fault(
        "fieldManager", "FieldValueRequired", "Required value: is required for apply patch"
    )
    return invalid(Kind("PatchOptions", "patchoptions", "meta.k8s.io"), "", [fault])


def _no_such_path() -> Answer:
    return Answer(404, b"404 page not found\n", {"content-type": "text/plain; charset=utf-8"})


def _content_type(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def _parse_body(request: Request, *, yaml_too: bool = False) -> Obj:
    if len(request.body) > _LARGEST_BODY:
        message = f"Request entity too large: limit is {_LARGEST_BODY}"
        raise Refused(413, "RequestEntityTooLarge", message)
    if _content_type(request) == _PROTOBUF:
        raise _unsupported_media_type()
    body = _load_yaml(request.body) if yaml_too else _load_json(request.body)
    named = isinstance(body, dict) and all(
        isinstance(body.get(name, ""), str | None) for name in ("apiVersion", "kind")
    )
    if not named:
        message = "the object provided is unrecognized: couldn't get version/kind"
        raise bad_request(message)
    found: Obj = body
    return found


def _load_json(body: bytes) -> Json:
    try:
        return json.loads(body)
    except ValueError as error:
        message = f"couldn't get version/kind; json parse error: {error}"
        raise bad_request(message) from None


def _load_yaml(body: bytes) -> Json:
    try:
        return json.loads(body)
    except ValueError:
        pass
    try:
        return yaml.safe_load(body)
    except yaml.YAMLError as error:
        message = f"error decoding YAML: error converting YAML to JSON: {error}"
        raise bad_request(message) from None


def _typed(kind: Kind, obj: Obj) -> Obj:
    return {"kind": kind.name, "apiVersion": kind.api_version, **obj}


def _warnings(call: Call) -> dict[str, str]:
    texts = [f"299 - {json.dumps(text)}" for text in call.warnings]
    return {"warning": ", ".join(texts)} if texts else {}


if __name__ == "__main__":
    main()
