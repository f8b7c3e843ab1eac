"""Leak canaries: what must not be seen, and the search for it wherever text comes out.

watching() has these searched while its block runs: what every double of this process is asked,
every record that is logged, and every ApiError that is made. The harness adds what the API answers
and its functions report, the double of AWS what it is asked. Texts are gathered and searched many
at a time, each canary also as base64 and as a URL has it; see `LEGITIMATE` for where one may be.
"""

import logging
import re
import threading
import traceback
import zlib
from base64 import b64decode, b64encode, urlsafe_b64encode
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from io import BytesIO
from typing import Any, Final
from unittest import mock
from urllib.parse import quote

from chalicelib.domain.errors import ApiError
from chalicelib.logs import JsonFormatter
from infra.local.cloudflare import CloudflareDouble
from infra.local.cluster import ClusterDouble
from infra.local.wire import Answer, Request, Respond, Wire
from tests import factories

ENVIRONMENT: Final = {
    "AWS_ACCESS_KEY_ID": "canary0of0access0keys",
    "AWS_SECRET_ACCESS_KEY": "canary-of-secret-access-keys",
    "AWS_SESSION_TOKEN": "canary-of-session-tokens",
    "FRIENDS_CANARY": "canary-of-the-environment",
}
"""What this process has in its environment."""

IN_CLUSTERS: Final = {
    "a Secret's data": "canary-of-a-secrets-data",
    "a Secret's stringData": "canary-of-a-secrets-string-data",
    "a Secret's last-applied": "canary-of-a-secrets-annotation",
    "a pod's annotation": "canary-of-a-pods-annotation",
    "a pod's env": "canary-of-a-pods-environment",
    "a pod's args": "canary-of-a-pods-arguments",
    "a pod's command": "canary-of-a-pods-command",
}
"""What tests put into their clusters: see create_secret and create_pod of cluster_client."""

LEGITIMATE: Final[Mapping[str, str]] = {
    "the cluster's authorization": "this cluster's own token, as a bearer token",
    "the cluster's host": "this cluster's own server: a request says whom it is for",
    "Cloudflare's authorization": "Cloudflare's own token, as a bearer token",
    "AWS's authorization": "the id of the access key: a signature names its key",
    "AWS's x-amz-security-token": "the session token: a signature is only good with it",
    "the body of a test's request to the cluster": "any: an admin may put in what they like",
    "Secrets Manager's request": "any: this is where secrets are kept",
}
"""Every place where a canary may be, and which. All else that is searched holds none."""

SENDER: Final = {"X-Sender": "tests"}
"""What a test's own requests to a cluster carry: it may put anything into one."""

_SIGNED_WITH: Final = {
    "authorization": "AWS_ACCESS_KEY_ID",
    "x-amz-security-token": "AWS_SESSION_TOKEN",
}
_SHORTEST: Final = 10
# What many values share: where it is not, none of them is, and none is looked for.
_SHARED: Final = ("canary", "-token-0123456789")
_GATHERED_BYTES: Final = 1024 * 1024
_BETWEEN: Final = b"\0"
# An item's bytes, if they are what zlib.compress writes: an operation's manifests.
_COMPRESSED: Final = re.compile(rb'"B": ?"(eJ[A-Za-z0-9+/=]+)"')


class Canaries:
    """What is planted, and what was found of it. May be used from any thread."""

    def __init__(self) -> None:
        """Nothing is planted yet."""
        self._lock = threading.RLock()
        self._names: dict[str, str] = {}
        self._planted: list[str] = []
        # By what the values share, which may be nothing.
        self._forms: dict[str, dict[bytes, str]] = {"": {}, **{each: {} for each in _SHARED}}
        self._gathered: list[tuple[str, bytes]] = []
        self._gathered_bytes = 0
        self._found: dict[str, None] = {}
        self.searched = 0

    def plant(self, name: str, value: str) -> None:
        """Look for this value, too, from now on; a finding will tell its name."""
        assert len(value) >= _SHORTEST, f"{name} would be found where it is not"
        with self._lock:
            if value not in self._names:
                self._names[value] = name
                self._planted.append(name)
                shared = next((each for each in _SHARED if each in value), "")
                self._forms[shared].update(dict.fromkeys(_forms_of(value), name))

    def search(self, place: str, text: str | bytes, allowed: Iterable[str] = ()) -> None:
        """Search a text, soon. What is allowed in it may be there: the place says why."""
        data = text.encode(errors="surrogatepass") if isinstance(text, str) else text
        for value in allowed:
            assert place in LEGITIMATE, f"{place} is no legitimate place"
            data = data.replace(value.encode(), b"")
        with self._lock:
            self.searched += 1
            self._gathered.append((place, data))
            self._gathered_bytes += len(data)
            if self._gathered_bytes > _GATHERED_BYTES:
                self._search_gathered()

    def take_found(self) -> list[str]:
        """Return what was found since the last time: which canary, and where, but no value."""
        with self._lock:
            self._search_gathered()
            found = list(self._found)
            self._found.clear()
            return found

    def take_figures(self) -> tuple[list[str], int]:
        """Return what was planted, by name, and how many texts were searched, since the last time.

        What a test plants counts although another test, in another process, may plant it, too.
        """
        with self._lock:
            figures = self._planted, self.searched
            self._planted, self.searched = [], 0
            return figures

    def _search_gathered(self) -> None:
        everything = _BETWEEN.join(text for _, text in self._gathered)
        for shared, forms in self._forms.items():
            if shared and not any(form in everything for form in _forms_of(shared)):
                continue
            for form, name in forms.items():
                if form in everything:
                    places = (place for place, text in self._gathered if form in text)
                    self._found.update(dict.fromkeys(f"{name} in {place}" for place in places))
        self._gathered.clear()
        self._gathered_bytes = 0


def _forms_of(value: str) -> set[bytes]:
    """Return a value as it is, as URLs have it, and as it is within base64 of a longer text."""
    plain = value.encode()
    forms = {plain, quote(value, safe="").encode()}
    for before in range(3):
        for encode in (b64encode, urlsafe_b64encode):
            encoded = encode(b"x" * before + plain)
            # The characters at both ends depend on what is around the value.
            end = len(encoded) if (before + len(plain)) % 3 == 0 else -4
            forms.add(encoded[-(-before * 4 // 3) : end])
    return forms


CANARIES: Final = Canaries()
"""This process's."""


def search_answer(what: str, status: int, headers: Mapping[str, str], text: str) -> None:
    """Search what the API has answered."""
    CANARIES.search(f"{what}: {status}", f"{dict(headers)} {text}")


def search_aws(service: str, operation: str, request: Any) -> None:
    """Search a request to AWS: an item, an object, or the payload of an invocation is in it."""
    what = f"{service} {operation}"
    CANARIES.search(f"the URL of {what}", request.url)
    for name, value in request.headers.items():
        text = value.decode() if isinstance(value, bytes) else str(value)
        own = _SIGNED_WITH.get(name.lower())
        CANARIES.search(f"AWS's {name.lower()}", text, (ENVIRONMENT[own],) if own else ())
    if service.replace("-", "") == "secretsmanager":
        return
    body = _bytes_of(request.body)
    CANARIES.search(f"the body of {what}", body)
    for encoded in _COMPRESSED.findall(body):
        with suppress(zlib.error, ValueError):
            CANARIES.search(f"what {what} has compressed", zlib.decompress(b64decode(encoded)))


def _bytes_of(body: Any) -> bytes:
    # An object's, on its way in chunks.
    body = getattr(body, "_raw", body)
    if isinstance(body, BytesIO):
        return body.getvalue()
    return body.encode() if isinstance(body, str) else bytes(body or b"")


@contextmanager
def watching() -> Iterator[Canaries]:
    """Plant what every test has, and have every text searched until the block ends."""
    _plant_known()
    own, root, handler = logging.getLogger("chalicelib"), logging.getLogger(), _Records()
    level = own.level
    with ExitStack() as stack:
        stack.enter_context(mock.patch.object(Wire, "answer", _searching(Wire.answer)))
        stack.enter_context(mock.patch.object(ApiError, "__init__", _noting(ApiError.__init__)))
        root.addHandler(handler)
        stack.callback(root.removeHandler, handler)
        # As talkative as our own code can be; the libraries' level is the product's choice.
        own.setLevel(logging.DEBUG)
        stack.callback(own.setLevel, level)
        yield CANARIES


def _plant_known() -> None:
    for name, value in {**ENVIRONMENT, **IN_CLUSTERS}.items():
        CANARIES.plant(name, value)
    for owner, token in factories.TOKENS.items():
        CANARIES.plant(f"{owner}'s token", token)
        CANARIES.plant(f"{owner}'s digest", factories.create_token_record(token)["sha256"])
    for name, value in factories.KUBECONFIG_SECRETS.items():
        CANARIES.plant(f"a kubeconfig's {name}", value)


class _Records(logging.Handler):
    """Has every record searched: as the product writes it, and all that it could have written."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self._json = JsonFormatter()

    def emit(self, record: logging.LogRecord) -> None:
        place = f"a record of {record.name} ({record.filename}:{record.lineno})"
        CANARIES.search(place, self._json.format(record))
        if record.args:
            CANARIES.search(f"the arguments of {place}", repr(record.args))
        if record.exc_info and record.exc_info[1] is not None:
            told = traceback.format_exception(record.exc_info[1])
            CANARIES.search(f"the traceback of {place}", "".join(told))
        if record.exc_text:
            CANARIES.search(f"the traceback of {place}", record.exc_text)


def _searching(
    answer: Callable[[Wire, Request, Respond], Answer | None],
) -> Callable[[Wire, Request, Respond], Answer | None]:
    """Return Wire.answer, with the request searched first."""

    def search_and_answer(wire: Wire, request: Request, respond: Respond) -> Answer | None:
        if isinstance(wire, ClusterDouble):
            _plant_cluster(wire)
            server = wire.url.removeprefix("https://")
            _search_request("the cluster", request, {"authorization": wire.token, "host": server})
        elif isinstance(wire, CloudflareDouble):
            CANARIES.plant("Cloudflare's token", wire.token)
            _search_request("Cloudflare", request, {"authorization": wire.token})
        return answer(wire, request, respond)

    return search_and_answer


def _plant_cluster(wire: ClusterDouble) -> None:
    if wire.token not in CANARIES._names:  # noqa: SLF001 - most requests find all planted
        CANARIES.plant("a cluster's server", wire.url.removeprefix("https://"))
        # A line of it that no other certificate has.
        CANARIES.plant("a cluster's authority", wire.ca_pem.splitlines()[-3])
        CANARIES.plant("a cluster's token", wire.token)


def _search_request(system: str, request: Request, own: Mapping[str, str]) -> None:
    for name, value in request.headers.items():
        allowed = (own[name],) if name in own else ()
        CANARIES.search(f"{system}'s {name}", value, allowed)
    CANARIES.search(f"a request to {system}", f"{request.method} {request.path} {request.query}")
    if request.headers.get("x-sender") != SENDER["X-Sender"]:
        CANARIES.search(f"the body of a request to {system}", request.body)


def _noting(initialise: Callable[..., None]) -> Callable[..., None]:
    """Return ApiError.__init__, with what it is told searched."""

    def initialise_and_search(error: ApiError, *args: Any, **options: Any) -> None:
        initialise(error, *args, **options)
        CANARIES.search(f"a {type(error).__name__}", f"{error.message} {error.code}")
        if error.faults:
            CANARIES.search(f"the faults of a {type(error).__name__}", repr(error.faults))

    return initialise_and_search
