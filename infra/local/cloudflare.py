"""A double of Cloudflare's DNS API, version 4, at the wire: what `dns_records` decides, as HTTP.

    with serve(zones={ZONE_ID: "friends.example"}) as cloudflare:
        ...  # point a client at cloudflare.url with cloudflare.token

It knows the routes that a token with Zone.DNS:Edit on a few zones may use, and answers others as
Cloudflare does: it cannot route to them. `python -m infra.local.cloudflare` runs it as a process.
"""

from __future__ import annotations

import argparse
import copy
import hmac
import json
import math
import re
import secrets
import threading
import time
import uuid
from collections import deque
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from infra.local.dns_records import MAX_PER_PAGE, DnsZone, Record, Refused
from infra.local.wire import Answer, Request, Wire, announce_and_wait, serve_on_loopback

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

BASE_PATH: Final = "/client/v4"
DEFAULT_ZONES: Final[Mapping[str, str]] = {"0123456789abcdef0123456789abcdef": "friends.example"}
REQUESTS_PER_WINDOW: Final = 1200
WINDOW_SECONDS: Final = 300.0

_ID: Final = r"([0-9a-f]{32})"
_VERIFY: Final = re.compile(f"{BASE_PATH}/user/tokens/verify")
_ZONES: Final = re.compile(f"{BASE_PATH}/zones")
_ZONE: Final = re.compile(f"{BASE_PATH}/zones/{_ID}")
_RECORDS: Final = re.compile(f"{BASE_PATH}/zones/{_ID}/dns_records")
_BATCH: Final = re.compile(f"{BASE_PATH}/zones/{_ID}/dns_records/batch")
_RECORD: Final = re.compile(f"{BASE_PATH}/zones/{_ID}/dns_records/{_ID}")


@dataclass(frozen=True, slots=True)
class _Result:
    """What a route returns; the envelope is put around it in one place."""

    result: object
    result_info: dict[str, int] | None = None
    messages: tuple[dict[str, object], ...] = ()


class RateLimit:
    """Cloudflare's budget: so many requests in a sliding window, then none for a whole window."""

    def __init__(self, requests_per_window: int, window_seconds: float) -> None:
        """Start with the whole budget."""
        self.requests_per_window = requests_per_window
        self.window_seconds = window_seconds
        self._arrivals: deque[float] = deque()
        self._blocked_until = 0.0

    def retry_after_seconds(self) -> int:
        """Count a request; return 0 when it may pass, otherwise when to try again."""
        now = time.monotonic()
        if now < self._blocked_until:
            return math.ceil(self._blocked_until - now)
        while self._arrivals and self._arrivals[0] <= now - self.window_seconds:
            self._arrivals.popleft()
        if len(self._arrivals) >= self.requests_per_window:
            self._blocked_until = now + self.window_seconds
            return math.ceil(self.window_seconds)
        self._arrivals.append(now)
        return 0

    def reset(self) -> None:
        """Give the whole budget back."""
        self._arrivals.clear()
        self._blocked_until = 0.0


class CloudflareDouble(Wire):
    """The double's token, zones and records, beside `Wire`'s request log and faults."""

    def __init__(self, token: str, zones: Mapping[str, str], limit: RateLimit) -> None:
        """Hold empty zones. zones maps each zone's id to its domain."""
        super().__init__()
        self.url = ""
        self.token = token
        self.zones = dict(zones)
        self.limit = limit
        # Whether the token's client IP filter lets its bearer in.
        self.lets_in = True
        self._token_id = uuid.uuid4().hex
        self._state_lock = threading.RLock()
        self._zones = _empty_zones(zones)

    def records(self, zone_id: str) -> list[Record]:
        """Return copies of a zone's records, without a request."""
        with self._state_lock:
            return [dict(record) for record in self._zones[zone_id].records.values()]

    def seed(self, zone_id: str, **fields: object) -> Record:
        """Create a record without a request: what somebody else has put into the zone."""
        with self._state_lock:
            return dict(self._zones[zone_id].create(fields))

    def remove(self, zone_id: str, *, comment: str) -> None:
        """Delete the records with a comment without a request, as a person does."""
        with self._state_lock:
            records = self._zones[zone_id].records
            for record_id in [key for key, each in records.items() if each["comment"] == comment]:
                del records[record_id]

    def save(self) -> Callable[[], None]:
        """Return a function that brings all records back as they are now, and clears the rest."""
        with self._state_lock:
            saved = copy.deepcopy(self._zones)

        def restore() -> None:
            with self._state_lock:
                self._zones = copy.deepcopy(saved)
                self.limit.reset()
            self.clear()

        return restore

    def reset(self) -> None:
        """Drop every record, the request log, the faults and the spent budget."""
        with self._state_lock:
            self._zones = _empty_zones(self.zones)
            self.limit.reset()
            self.lets_in = True
        self.clear()

    def respond(self, request: Request) -> Answer:
        """Answer one request."""
        with self._state_lock:
            retry_after_seconds = self.limit.retry_after_seconds()
            if retry_after_seconds:
                refused = Refused(
                    971, "Please wait and consider throttling your request speed", status=429
                )
                return _refusal(refused, {"retry-after": str(retry_after_seconds)})
            try:
                self._authenticate(request)
                return _success(self._route(request))
            except Refused as refused:
                return _refusal(refused)

    def _authenticate(self, request: Request) -> None:
        header = request.headers.get("authorization")
        if header is None:
            raise Refused(9106, "Missing X-Auth-Key, X-Auth-Email or Authorization headers")
        scheme, _, token = header.partition(" ")
        if scheme != "Bearer" or not token:
            raise Refused(6003, "Invalid request headers")
        if not hmac.compare_digest(token.encode(), self.token.encode()):
            if _VERIFY.fullmatch(request.path):
                raise Refused(1000, "Invalid API Token", status=401)
            raise Refused(10000, "Authentication error", status=403)
        if not self.lets_in:
            message = "Cannot use the access token from location: 203.0.113.9"
            raise Refused(9109, message, status=403)

    def _route(self, request: Request) -> _Result:
        method, path = request.method, request.path
        if method == "GET" and _VERIFY.fullmatch(path):
            message = {"code": 10000, "message": "This API Token is valid and active", "type": None}
            return _Result({"id": self._token_id, "status": "active"}, messages=(message,))
        if method == "GET" and _ZONES.fullmatch(path):
            return self._list_zones(request.query)
        if method == "GET" and (match := _ZONE.fullmatch(path)):
            return _Result(_zone_body(self._zone(match[1], path)))
        if match := _RECORDS.fullmatch(path):
            return _serve_records(self._zone(match[1], path), request)
        if method == "POST" and (match := _BATCH.fullmatch(path)):
            return _Result(self._zone(match[1], path).batch(_parse_batch(request)))
        if match := _RECORD.fullmatch(path):
            return _serve_record(self._zone(match[1], path), match[2], request)
        raise _no_route(path)

    def _zone(self, zone_id: str, path: str) -> DnsZone:
        zone = self._zones.get(zone_id)
        if zone is None:
            raise _no_route(path)
        return zone

    def _list_zones(self, query: Mapping[str, str]) -> _Result:
        wanted = query.get("name")
        zones = [zone for zone in self._zones.values() if wanted in (None, zone.domain)]
        return _page([_zone_body(zone) for zone in zones], query, per_page=20, max_per_page=50)


@contextmanager
def serve(
    *,
    port: int = 0,
    token: str | None = None,
    zones: Mapping[str, str] = DEFAULT_ZONES,
    requests_per_window: int = REQUESTS_PER_WINDOW,
    window_seconds: float = WINDOW_SECONDS,
) -> Iterator[CloudflareDouble]:
    """Serve the double on loopback until the block ends.

    zones maps zone ids to domains. Without a token, one is made. Raises OSError when the port is
    taken.
    """
    limit = RateLimit(requests_per_window, window_seconds)
    double = CloudflareDouble(token or secrets.token_urlsafe(30), zones, limit)
    with serve_on_loopback(double, double.respond, port=port) as url:
        double.url = url + BASE_PATH
        yield double


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the double as a process, until SIGTERM."""
    parser = argparse.ArgumentParser(
        prog="python -m infra.local.cloudflare", description=main.__doc__
    )
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--token", help="the one token to accept (default: a random one)")
    parser.add_argument(
        "--zone", action="append", metavar="ID=DOMAIN", help="may be given more than once"
    )
    options = parser.parse_args(arguments)
    zones = dict(zone.split("=", 1) for zone in options.zone or ()) or DEFAULT_ZONES
    with serve(port=options.port, token=options.token, zones=zones) as double:
        announce_and_wait(
            {"ready": True, "url": double.url, "token": double.token, "zones": double.zones}
        )


def _empty_zones(zones: Mapping[str, str]) -> dict[str, DnsZone]:
    return {zone_id: DnsZone(zone_id, domain) for zone_id, domain in zones.items()}


def _serve_records(zone: DnsZone, request: Request) -> _Result:
    if request.method == "POST":
        return _Result(zone.create(_parse_object(request)))
    if request.method == "GET":
        filters = {
            name: value for name, value in request.query.items() if name not in {"page", "per_page"}
        }
        return _page(zone.select(filters), request.query, per_page=100, max_per_page=MAX_PER_PAGE)
    raise _method_not_allowed()


def _serve_record(zone: DnsZone, record_id: str, request: Request) -> _Result:
    if request.method == "GET":
        return _Result(zone.find(record_id))
    if request.method == "PATCH":
        return _Result(zone.patch(record_id, _parse_object(request)))
    if request.method == "PUT":
        return _Result(zone.put(record_id, _parse_object(request)))
    if request.method == "DELETE":
        return _Result({"id": zone.delete(record_id)["id"]})
    raise _method_not_allowed()


def _parse_object(request: Request) -> dict[str, Any]:
    try:
        body = json.loads(request.body)
    except ValueError:
        body = None
    if not isinstance(body, dict):
        raise Refused(9207, "Request body is invalid.")
    return body


def _parse_batch(request: Request) -> dict[str, list[Record]]:
    body = _parse_object(request)
    well_formed = all(
        isinstance(changes, list) and all(isinstance(change, dict) for change in changes)
        for changes in body.values()
    )
    if not well_formed:
        raise Refused(9207, "Request body is invalid.")
    return body


def _page(
    items: list[Record], query: Mapping[str, str], *, per_page: int, max_per_page: int
) -> _Result:
    number = _whole_number(query, "page", 1)
    size = min(_whole_number(query, "per_page", per_page), max_per_page)
    chosen = items[(number - 1) * size : number * size]
    info = {
        "page": number,
        "per_page": size,
        "count": len(chosen),
        "total_count": len(items),
        "total_pages": math.ceil(len(items) / size),
    }
    return _Result(chosen, info)


def _whole_number(query: Mapping[str, str], name: str, default: int) -> int:
    text = query.get(name, str(default))
    if not text.isdecimal() or int(text) < 1:
        # Only the status is known.
        raise Refused(9999, f"Invalid {name}.")
    return int(text)


def _success(result: _Result) -> Answer:
    body = {
        "result": result.result,
        "success": True,
        "errors": [],
        "messages": list(result.messages),
    }
    if result.result_info is not None:
        body["result_info"] = result.result_info
    return Answer(200, body, {"cf-ray": uuid.uuid4().hex[:16]})


def _refusal(refused: Refused, headers: Mapping[str, str] | None = None) -> Answer:
    error = {"code": refused.code, "message": refused.message}
    body = {"result": None, "success": False, "errors": [error], "messages": []}
    return Answer(refused.status, body, {"cf-ray": uuid.uuid4().hex[:16], **(headers or {})})


def _no_route(path: str) -> Refused:
    return Refused(
        7003, f"Could not route to {path}, perhaps your object identifier is invalid?", status=404
    )


def _method_not_allowed() -> Refused:
    return Refused(10405, "Method not allowed for this authentication scheme", status=405)


def _zone_body(zone: DnsZone) -> Record:
    name_servers = ["ada.ns.cloudflare.com", "bob.ns.cloudflare.com"]
    return {
        "id": zone.id,
        "name": zone.domain,
        "status": "active",
        "paused": False,
        "type": "full",
        "development_mode": 0,
        "name_servers": name_servers,
        "original_name_servers": [],
        "original_registrar": None,
        "original_dnshost": None,
        "created_on": zone.created_on,
        "modified_on": zone.created_on,
        "activated_on": zone.created_on,
        "meta": {
            "step": 2,
            "custom_certificate_quota": 0,
            "page_rule_quota": 3,
            "phishing_detected": False,
        },
        "owner": {"id": None, "type": "user"},
        "account": {"id": "f" * 32, "name": "local"},
        "permissions": ["#dns_records:edit", "#dns_records:read"],
        "plan": {
            "id": "0feeeeeeeeeeeeeeeeeeeeeeeeeeeeee",
            "name": "Free Website",
            "currency": "USD",
        },
    }


if __name__ == "__main__":
    main()
