"""The API server under test, by plain HTTP, so that no client library hides what it answers."""

import base64
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from ssl import VERIFY_X509_STRICT
from typing import Any, TypeVar

import requests
import yaml
from requests.adapters import HTTPAdapter
from urllib3.util.ssl_ import create_urllib3_context

from tests.contract.cluster.builders import Manifest

T = TypeVar("T")

APPLY = "application/apply-patch+yaml"
MERGE = "application/merge-patch+json"
_PLURALS = {"NetworkPolicy": "networkpolicies"}


@dataclass(frozen=True)
class Server:
    """An API server and a session that may do anything on it."""

    url: str
    session: requests.Session

    def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        content_type: str = "application/json",
        **query: Any,
    ) -> requests.Response:
        """Send a request; a body that is not bytes goes as JSON."""
        return self.session.request(
            method,
            f"{self.url}{path}",
            params=query,
            data=body if isinstance(body, bytes) else None,
            json=None if isinstance(body, bytes) else body,
            headers={"content-type": content_type} if body is not None else {},
            timeout=30,
        )

    def apply(
        self, path: str, manifest: Manifest, *, manager: str = "alpha", **query: Any
    ) -> requests.Response:
        """Server-side apply."""
        query = {"fieldManager": manager, **query}
        return self.call("PATCH", path, manifest, content_type=APPLY, **query)


@dataclass(frozen=True)
class Place:
    """A namespace of one test's own."""

    server: Server
    name: str

    def path(self, manifest: Manifest, *, named: bool = True) -> str:
        """Return the path of a manifest in this namespace, or of its collection."""
        version, kind = manifest["apiVersion"], manifest["kind"]
        prefix = "apis" if "/" in version else "api"
        plural = _PLURALS.get(kind, f"{kind.lower()}s")
        collection = f"/{prefix}/{version}/namespaces/{self.name}/{plural}"
        return f"{collection}/{manifest['metadata']['name']}" if named else collection

    def create(self, manifest: Manifest, **query: Any) -> requests.Response:
        """POST a manifest."""
        return self.server.call("POST", self.path(manifest, named=False), manifest, **query)

    def apply(self, manifest: Manifest, **query: Any) -> requests.Response:
        """Server-side apply a manifest."""
        return self.server.apply(self.path(manifest), manifest, **query)

    def replace(self, manifest: Manifest, **query: Any) -> requests.Response:
        """PUT a manifest."""
        return self.server.call("PUT", self.path(manifest), manifest, **query)

    def merge(self, manifest: Manifest, patch: Any, **query: Any) -> requests.Response:
        """Merge-patch the object that a manifest names."""
        path = self.path(manifest)
        return self.server.call("PATCH", path, patch, content_type=MERGE, **query)

    def get(self, manifest: Manifest) -> requests.Response:
        """GET the object that a manifest names."""
        return self.server.call("GET", self.path(manifest))

    def read(self, manifest: Manifest) -> Any:
        """Return the object that a manifest names, which is there."""
        return succeed(self.get(manifest))

    def delete(self, manifest: Manifest, **query: Any) -> requests.Response:
        """DELETE the object that a manifest names."""
        return self.server.call("DELETE", self.path(manifest), **query)

    def list(self, plural: str, api: str = "/api/v1", **query: Any) -> list[Any]:
        """Return the items of a list in this namespace."""
        path = f"{api}/namespaces/{self.name}/{plural}"
        items: list[Any] = succeed(self.server.call("GET", path, **query))["items"]
        return items


def succeed(answer: requests.Response) -> Any:
    """Return the body of an answer that must not be a refusal."""
    assert answer.ok, answer.text
    return answer.json()


def refusal(answer: requests.Response) -> tuple[int, str, str]:
    """Return code, reason and message of a Status that refuses, whose code is also the answer's."""
    body = answer.json()
    assert (body["kind"], body["apiVersion"], body["status"]) == ("Status", "v1", "Failure"), body
    assert body["code"] == answer.status_code
    return body["code"], body.get("reason", ""), body["message"]


def causes(answer: requests.Response) -> list[tuple[str, str]]:
    """Return reason and field of each cause that a Status names."""
    found = answer.json()["details"]["causes"]
    return [(cause["reason"], cause["field"]) for cause in found]


def eventually(look: Callable[[], T], *, seconds: float = 20.0) -> T:
    """Return what look returns as soon as that is true; fail after so many seconds."""
    give_up_at = time.monotonic() + seconds
    while True:
        seen = look()
        if seen:
            return seen
        assert time.monotonic() < give_up_at, f"still {seen!r} after {seconds} seconds"
        time.sleep(0.02)


def connect(kubeconfig: str, folder: Path) -> Server:
    """Return the server of a kubeconfig's current context; folder keeps its certificates."""
    config = yaml.safe_load(kubeconfig)
    context = _named(config, "context", config["current-context"])
    cluster = _named(config, "cluster", context["cluster"])
    user = _named(config, "user", context["user"])
    session = build_session(_file(cluster, "certificate-authority", folder))
    if "token" in user:
        session.headers["authorization"] = f"Bearer {user['token']}"
    else:
        session.cert = (
            _file(user, "client-certificate", folder),
            _file(user, "client-key", folder),
        )
    return Server(cluster["server"], session)


def build_session(authority: Any) -> requests.Session:
    """Return a session without a credential that trusts the authority in this file."""
    session = requests.Session()
    # The environment may name another bundle of authorities, which requests would prefer.
    session.trust_env = False
    session.verify = authority
    session.mount("https://", _Adapter())
    return session


class _Adapter(HTTPAdapter):
    """Verifies as kubectl does, which wants no key identifiers of an authority."""

    def init_poolmanager(self, *arguments: Any, **options: Any) -> None:
        context = create_urllib3_context()
        context.verify_flags &= ~VERIFY_X509_STRICT
        super().init_poolmanager(*arguments, ssl_context=context, **options)


def _named(config: Any, word: str, name: str) -> Any:
    return next(entry[word] for entry in config[f"{word}s"] if entry["name"] == name)


def _file(holder: Any, name: str, folder: Path) -> str:
    if f"{name}-data" not in holder:
        return str(holder[name])
    path = folder / f"{name}.pem"
    path.touch(mode=0o600)
    path.write_bytes(base64.b64decode(holder[f"{name}-data"]))
    return str(path)
