"""Cloudflare's DNS API, version 4, with requests, which is imported when a zone is first used.

Time limits, repeats and the naming of errors live here and nowhere else. Each request is counted
before it is sent (cloudflare_budget).
What the environment says of proxies, authorities and passwords is not heeded, no redirect is
followed, and no more of an answer is read than an answer can be long. Sources:
developers.cloudflare.com/api/resources/dns/subresources/records, "Batch record changes" in the DNS
docs (200 changes on the Free plan, one transaction), "Rate limits" in the Fundamentals docs.
"""

import copy
import itertools
import json
import logging
import re
import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from chalicelib.domain.backoff import backoff_seconds
from chalicelib.domain.deadline import Deadline
from chalicelib.domain.dns import Record, RecordChanges, RecordSpec, WrongZone
from chalicelib.domain.errors import ApiError
from chalicelib.domain.model import JsonObject
from chalicelib.gateways.cloudflare_budget import Purpose, RequestBudget
from chalicelib.gateways.cloudflare_errors import (
    NO_ANSWER,
    DnsAnswer,
    dns_error,
    misconfigured,
    not_understood,
)
from chalicelib.gateways.imports import FIRST_IMPORT
from chalicelib.gateways.seam import Outgoing, Seam

if TYPE_CHECKING:
    from requests import Response, Session

API_URL: Final = "https://api.cloudflare.com/client/v4"

_log = logging.getLogger(__name__)

_ID: Final = re.compile(r"[0-9a-f]{32}")
_TOKEN: Final = re.compile(r"[!-~]{1,512}")
_TOKEN_SECONDS: Final = 300.0
_AUTOMATIC_TTL: Final = 1
_FIND_PAGE: Final = 100
# Cloudflare gives up to 5,000,000 on a page; a thousand are about half a megabyte.
_LIST_PAGE: Final = 1000
_MOST_PAGES: Final = 50
_BATCH: Final = 200
_LARGEST_BODY: Final = 8 * 1024 * 1024
_CHUNK: Final = 64 * 1024
_CONNECT_SECONDS: Final = 3.0
_READ_SECONDS: Final = 10.0
_ATTEMPTS: Final = 5
# A longer wait is not slept through, but told to the caller.
_LONGEST_WAIT_SECONDS: Final = 30
_USER_AGENT: Final = "friends-api"


class CloudflareDns:
    """The Dns of ports.py. May be used from several threads."""

    def __init__(
        self,
        read_token: Callable[[], str | None],
        budget: RequestBudget | None,
        *,
        seam: Seam | None = None,
        url: str = API_URL,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Remember where the token is kept; nothing is read or connected yet.

        Requests are counted as reads, until acting_for says otherwise. Without a budget none is
        counted: for the few of a person, whose credentials may not write to the table.
        """
        self._url = url.rstrip("/")
        self._seam = seam or Seam()
        self._budget = budget
        self._purpose = Purpose.READ
        self._connection = _Connection(_CachedToken(read_token, clock))

    def acting_for(self, purpose: Purpose) -> "CloudflareDns":
        """Return one that counts its requests for this purpose, and shares all else with this."""
        acting = copy.copy(self)
        acting._purpose = purpose  # noqa: SLF001 - it is one of this class
        return acting

    def find(self, zone_id: str, name: str, deadline: Deadline) -> list[Record]:
        """See Dns."""
        wanted = name.lower()
        found = self._list(zone_id, {"name.exact": wanted}, _FIND_PAGE, deadline)
        return [record for record in found if record.spec.name == wanted]

    def create(self, zone_id: str, spec: RecordSpec, deadline: Deadline) -> Record:
        """See Dns. The repeat of a try whose answer was lost finds what that try made."""
        call = _Call("POST", _path(zone_id), body=_fields(spec))
        written = _parse_record(_result(self._exchange(call, deadline), may_be_taken=True))
        self._require_names([written], [spec], zone_id, deadline)
        return written

    def update(self, zone_id: str, record: Record, deadline: Deadline) -> Record | None:
        """See Dns. Tags and settings, which are none of ours, stay. Raises RecordTaken."""
        call = _Call("PATCH", _path(zone_id, record.id), body=_fields(record.spec))
        answer = self._exchange(call, deadline)
        if answer.is_missing:
            return None
        written = _parse_record(_result(answer, may_be_taken=True))
        self._require_names([written], [record.spec], zone_id, deadline)
        return written

    def delete(self, zone_id: str, record_id: str, deadline: Deadline) -> None:
        """See Dns."""
        answer = self._exchange(_Call("DELETE", _path(zone_id, record_id)), deadline)
        if not answer.is_missing:
            _result(answer)

    def zone_name(self, zone_id: str, deadline: Deadline) -> str | None:
        """See Dns."""
        answer = self._exchange(_Call("GET", _zone_path(zone_id)), deadline)
        if answer.is_unauthorised:
            return None
        result = _result(answer)
        if not isinstance(result, dict) or not isinstance(result.get("name"), str):
            raise not_understood()
        return str(result["name"]).lower()

    def list_all(self, zone_id: str, deadline: Deadline) -> list[Record]:
        """See Dns."""
        return self._list(zone_id, {}, _LIST_PAGE, deadline)

    def list_owned(self, zone_id: str, owner_prefix: str, deadline: Deadline) -> list[Record]:
        """See Dns."""
        filters = {"comment.startswith": owner_prefix}
        found = self._list(zone_id, filters, _LIST_PAGE, deadline)
        # Cloudflare's filters know no case; owners do.
        return [record for record in found if record.spec.comment.startswith(owner_prefix)]

    def write(self, zone_id: str, changes: RecordChanges, deadline: Deadline) -> list[Record]:
        """See Dns. Up to 200 changes are one transaction; of more, only the first may be made.

        Raises RecordTaken also where what is to be deleted or changed is gone: look again.
        """
        steps: list[tuple[str, JsonObject]] = [
            *(("deletes", {"id": _record_id(each)}) for each in changes.deleted),
            *(
                ("patches", {"id": _record_id(each.id), **_fields(each.spec)})
                for each in changes.changed
            ),
            *(("posts", _fields(each)) for each in changes.created),
        ]
        created: list[Record] = []
        for start in range(0, len(steps), _BATCH):
            body: dict[str, list[JsonObject]] = {}
            for kind, change in steps[start : start + _BATCH]:
                body.setdefault(kind, []).append(change)
            call = _Call("POST", f"{_path(zone_id)}/batch", body=body)
            result = _result(self._exchange(call, deadline), may_be_taken=True)
            if not isinstance(result, dict):
                raise not_understood()
            posted = [_parse_record(each) for each in result.get("posts") or ()]
            patched = [_parse_record(each) for each in result.get("patches") or ()]
            asked = [*changes.created, *(each.spec for each in changes.changed)]
            self._require_names([*posted, *patched], asked, zone_id, deadline)
            created += posted
        return created

    def _require_names(
        self,
        written: Sequence[Record],
        asked: Sequence[RecordSpec],
        zone_id: str,
        deadline: Deadline,
    ) -> None:
        """Insist that records have the names that were asked for; others are deleted again.

        Cloudflare puts the zone's name behind one that does not end in it. Raises WrongZone.
        """
        names = {each.name for each in asked}
        misnamed = [each for each in written if each.spec.name not in names]
        if misnamed:
            gone = RecordChanges(deleted=[each.id for each in misnamed])
            self.write(zone_id, gone, deadline)
            raise _wrong_zone(misnamed[0].spec.name, names)

    def _list(
        self, zone_id: str, filters: Mapping[str, str], per_page: int, deadline: Deadline
    ) -> list[Record]:
        """Return what passes the filters, from every page; each record once."""
        records: dict[str, Record] = {}
        seen = 0
        for page in range(1, _MOST_PAGES + 1):
            query = {**filters, "per_page": str(per_page), "page": str(page)}
            answer = self._exchange(_Call("GET", _path(zone_id), query), deadline)
            found, total = _parse_page(answer)
            records.update((record.id, record) for record in found)
            seen += len(found)
            # A page is empty before all were seen where others delete meanwhile.
            if not found or seen >= total:
                return list(records.values())
        # Not the records so far: what seems to be missing would be made anew.
        raise not_understood()

    def _exchange(self, call: "_Call", deadline: Deadline) -> DnsAnswer:
        """Return Cloudflare's last word.

        Tries again, while time allows, what may pass: no connection, 429, 5xx; and once, if there
        is another token by now, what was not authorised.
        """
        token = self._connection.token.read()
        replaced = False
        for tries in itertools.count(1):
            answer = self._send(call, token, deadline)
            if answer.is_unauthorised and not replaced:
                replaced = True
                if fresh := self._connection.token.replace(token):
                    token = fresh
                    continue
            if not answer.may_pass or tries >= _ATTEMPTS:
                return answer
            delay = answer.retry_after_seconds or backoff_seconds(tries)
            if delay > _LONGEST_WAIT_SECONDS or delay >= deadline.remaining_seconds:
                return answer
            _log.warning(
                "dns call repeated", extra={"method": call.method, "status": answer.status}
            )
            time.sleep(delay)
        raise AssertionError

    def _send(self, call: "_Call", token: str, deadline: Deadline) -> DnsAnswer:
        session = self._connection.open_session()
        # Imported late for the reason given in the module's docstring, and by requests already.
        from urllib3 import Timeout  # noqa: PLC0415
        from urllib3.exceptions import HTTPError  # noqa: PLC0415

        if self._budget is not None:
            self._budget.take(self._purpose)
        total = deadline.bound(_CONNECT_SECONDS + _READ_SECONDS)
        until = deadline.within(total)
        # requests hands urllib3's own limits on, though its types do not say so.
        limits: Any = Timeout(connect=_CONNECT_SECONDS, read=_READ_SECONDS, total=total)
        request = partial(
            session.request,
            call.method,
            self._url + call.path,
            params=call.query,
            json=call.body,
            headers={"Authorization": f"Bearer {token}"},
            timeout=limits,
            allow_redirects=False,
            stream=True,
        )
        try:
            with self._seam.send(call.outgoing, request) as response:
                envelope = _read_envelope(response, until)
                waits = response.headers.get("Retry-After", "")
                return DnsAnswer(response.status_code, envelope, waits)
        # What requests raises are OSErrors, too.
        except (OSError, HTTPError):
            return NO_ANSWER


@dataclass(frozen=True)
class _Call:
    """One HTTP call, as data."""

    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    body: JsonObject | None = None

    @property
    def outgoing(self) -> Outgoing:
        """What the seam is told of the call."""
        return Outgoing("cloudflare", f"{self.method} {self.path}", self.method != "GET")


class _Connection:
    """The token and the session, for whatever purpose."""

    def __init__(self, token: "_CachedToken") -> None:
        self.token = token
        self._session: Session | None = None
        self._lock = threading.Lock()

    def open_session(self) -> "Session":
        """Return the session, made when it is first needed."""
        with self._lock:
            if self._session is None:
                self._session = _build_session()
            return self._session


class _CachedToken:
    """The token, read again every five minutes."""

    def __init__(self, read: Callable[[], str | None], clock: Callable[[], float]) -> None:
        self._read = read
        self._clock = clock
        self._lock = threading.Lock()
        self._token = ""
        self._read_at = 0.0

    def read(self) -> str:
        """Return the token. Raises UpstreamFailed (dns_misconfigured)."""
        with self._lock:
            if not self._token or self._clock() - self._read_at >= _TOKEN_SECONDS:
                self._reload()
            return self._token

    def replace(self, refused: str) -> str | None:
        """Return another token than the one that was refused, or None if there is none."""
        with self._lock:
            if self._token == refused:
                self._reload()
            return self._token if self._token != refused else None

    def _reload(self) -> None:
        self._token = ""
        token = self._read() or ""
        if not _TOKEN.fullmatch(token):
            raise misconfigured("Cloudflare token")
        self._token = token
        self._read_at = self._clock()


def _build_session() -> "Session":
    with FIRST_IMPORT:
        from http.cookiejar import DefaultCookiePolicy  # noqa: PLC0415 - see the module's docstring

        import requests  # noqa: PLC0415 - see the module's docstring

    session = requests.Session()
    session.trust_env = False
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=()))
    # Not compressed: what arrives is as large as what it stands for.
    session.headers.update({"Accept-Encoding": "identity", "User-Agent": _USER_AGENT})
    return session


def _read_envelope(response: "Response", until: Deadline) -> JsonObject | None:
    """Return the body if it is a JSON object of a size that an answer can have."""
    body = bytearray()
    # read1 returns what has arrived, so that a body that trickles in is seen to be late.
    while chunk := response.raw.read1(_CHUNK, decode_content=False):
        body += chunk
        if len(body) > _LARGEST_BODY:
            return None
        if until.remaining_seconds <= 0:
            raise TimeoutError
    try:
        envelope = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return envelope if isinstance(envelope, dict) else None


def _wrong_zone(found: str, asked: Collection[str]) -> WrongZone:
    name = next((each for each in asked if found.startswith(f"{each}.")), min(asked))
    return WrongZone(name.partition(".")[2], found.removeprefix(f"{name}."))


def _zone_path(zone_id: str) -> str:
    if not _ID.fullmatch(zone_id):
        raise misconfigured("zone's id")
    return f"/zones/{zone_id}"


def _path(zone_id: str, record_id: str | None = None) -> str:
    path = f"{_zone_path(zone_id)}/dns_records"
    return path if record_id is None else f"{path}/{_record_id(record_id)}"


def _record_id(value: str) -> str:
    """Return the id, so that nothing else ever gets into a URL."""
    if not _ID.fullmatch(value):
        raise misconfigured("record's id")
    return value


def _fields(spec: RecordSpec) -> JsonObject:
    return {
        "name": spec.name,
        "type": spec.type,
        "content": spec.content,
        "proxied": spec.proxied,
        "ttl": _AUTOMATIC_TTL,
        "comment": spec.comment,
    }


def _result(answer: DnsAnswer, *, may_be_taken: bool = False) -> object:
    """Return the result of a success; raise our error for anything else."""
    if answer.is_success and answer.envelope is not None:
        return answer.envelope.get("result")
    error = dns_error(answer, may_be_taken=may_be_taken)
    if isinstance(error, ApiError):
        _log.warning(
            "dns call failed", extra={"status": answer.status, "codes": sorted(answer.codes)}
        )
    raise error


def _parse_page(answer: DnsAnswer) -> tuple[list[Record], int]:
    """Return a page's records, and how many there are on all pages."""
    result = _result(answer)
    info = (answer.envelope or {}).get("result_info")
    total = info.get("total_count") if isinstance(info, dict) else None
    if not isinstance(result, list) or type(total) is not int:
        raise not_understood()
    return [_parse_record(each) for each in result], total


def _parse_record(value: object) -> Record:
    if not isinstance(value, dict):
        raise not_understood()
    # Records of some types have data in place of content; only ours need a comment.
    optional = [value.get(name) or "" for name in ("content", "comment")]
    texts: list[Any] = [value.get("id"), value.get("name"), value.get("type"), *optional]
    proxied = value.get("proxied") or False
    if not isinstance(proxied, bool) or not all(isinstance(each, str) for each in texts):
        raise not_understood()
    record_id, name, kind, content, comment = texts
    return Record(record_id, RecordSpec(name.lower(), kind, content, proxied, comment))
