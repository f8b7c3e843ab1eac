"""Hostile requests to every route: what they say, where they say it, and who is asking."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

from chalicelib.routes.table import ROUTES, Access
from tests.factories import ADMIN_TOKEN

Json = Any

EXPOSE: Final = "/api/friends/alice/namespace/expose"
AUTHORIZATION: Final = f"Bearer {ADMIN_TOKEN}"
# Of such a text, no answer may show more than 64 characters.
LONG: Final = "Z" * 300


@dataclass(frozen=True)
class HostileRequest:
    """A request; parameters are the path's, in place of those that API Gateway would decode.

    spoilt is the JSON pointer of the value that is wrong, where the body is right but for one.
    """

    method: str
    url: str
    body: bytes | None = None
    content_type: str = "application/json"
    authorization: str = AUTHORIZATION
    parameters: tuple[tuple[str, str], ...] = ()
    spoilt: str = ""


def post_json(url: str, value: Json) -> HostileRequest:
    """Return a POST of a value."""
    return HostileRequest("POST", url, json.dumps(value).encode())


_JUNK: Final = (
    *(b"null", b"true", b"1", b'"x"', b"[]", b"{", b"}", b"[1", b'{"a"}', b"{'a': 1}", b"--- {}"),
    *(b"[" * 100_000, b"[" * 40 + b"]" * 40, b'{"a":' * 33 + b"1" + b"}" * 33),
    *(b'{"a": NaN}', b'{"a": Infinity}', b'{"a": -Infinity}', b'{"a": 1e999}'),
    *(b'{"a": ' + b"9" * 5000 + b"}", b'{"a": ' + b"9" * 41 + b"}"),
    *(b'{"a": 1, "a": 1}', b'{"a": {"b": 1, "\\u0062": 2}}'),
    *(b'{"a": "\\ud800"}', b'{"\\udfff": 1}', b'{"a": "\\u0000"}', b'{"a": "\x00"}'),
    *(b'\xef\xbb\xbf{"a": 1}', b'{"a": "\xff"}', b'{"a": "\xc0\x80"}', '{"a": 1}'.encode("utf-16")),
    b'"' + b"Z" * 300_000 + b'"',
    json.dumps({LONG: LONG}).encode(),
)
_NO_JSON_TYPES: Final = (
    *("text/plain", "application/yaml", "application/json; charset=utf-16", "multipart/form-data"),
    *("application/x-www-form-urlencoded", "application/jsonx", "", LONG),
)
_NAMES: Final = (
    *(".", "..", "a/b", "../x", "..%2f..%2f", "%2e%2e", "%252e", "%00", "a\x00", "alice\n", "\n"),
    *("Z" * 300, "z" * 254, "Alice", "alic١", "аlice", "a\u200db", "😀", " alice", "alice ", ""),
    *("-alice", "alice-", "a_b", "*", "'", '"', "`", "a;b", "a?b", "a#b", "a\\b", "a&b", "a=b"),
    *("${jndi:x}", "{{7*7}}", "a b", "a,b", "a|b", "a\tb", "a\r\nb", "\u202ealice", "ａlice"),
)
_OTHERWISE: Final = {"id": "alice", "agent_id": "mochi", "operation_id": "19ab0000000-00000001"}
_QUERIES: Final = (
    *("dryrun=true", "dry_run=maybe", "dry_run=", "dry_run=true&dry_run=true", "dry_run=TRUE"),
    *("follow=true", "token=x", "sinceSeconds=1", "namespace=kube-system", "__proto__=1", "=x"),
    *("%00=x", f"{LONG}=1", "harden=1", "wait=now", "limit=0", "limit=-1", "limit=1e3", "cursor="),
    *("tail=-1", "tail=0", "tail=NaN", "tail=١٢", "tail=1_000", "tail=%205", "tail=%2B5"),
    *("tail=1.5", "tail=1&tail=2", "container=..", "container=a%26follow=true", "previous=x"),
    *("since_seconds=-1", "since_seconds=2147483648", "discord_id=x&signal=y", "signal=%00"),
    *("limit=1001", f"cursor={LONG}", f"container={LONG}", f"discord_id={LONG}", "whatsapp=x"),
)
_NO_TOKENS: Final = (
    *("", "Bearer", "Bearer ", "Basic YWRtaW46YWRtaW4=", f"bearer {ADMIN_TOKEN}", ADMIN_TOKEN),
    *(f"Bearer  {ADMIN_TOKEN}", f"Bearer\t{ADMIN_TOKEN}", f"Bearer {ADMIN_TOKEN} ", "Bearer tökén"),
    *(f"{AUTHORIZATION},{AUTHORIZATION}", f"Bearer {ADMIN_TOKEN[:-1]}", f"Bearer {LONG * 28}"),
)
_FRIEND: Final = {
    "id": "carol",
    "display_name": "Carol",
    "discord_id": "1" * 18,
    "signal": "+15550100199",
    "whatsapp": "+15550100199",
    "preferred_channel": "discord",
    "cluster": "main",
}
_NO_FRIENDS: Final[dict[str, tuple[Json, ...]]] = {
    "id": (*_NAMES, "system", "kube-x", "default", "api", "admin", "friend-x", "www", "a" * 41),
    "display_name": ("", " ", "a\nb", "a\u202eb", "\u200b", LONG, "\x1b[31m"),
    "discord_id": ("1", "1" * 16, "1" * 21, "١" * 18, "-1", "1e18", LONG),
    "signal": ("555", "+0", "x", "+1555010019\x00", "++15550100199", LONG),
    "whatsapp": ("555", "x@y", "a@s.whatsapp.net.evil", LONG),
    "preferred_channel": ("email", "Discord", LONG),
    "cluster": ("", "other", "Main", "../main", LONG),
}
_EXPOSED: Final = {"name": "my-app", "service": "web", "port": 80, "domain": "friends.example"}
_NOT_EXPOSED: Final[dict[str, tuple[Json, ...]]] = {
    "name": (
        *_NAMES,
        *(
            "xn--p1ai",
            "ab--c",
            "@",
            "a.b",
            "x" * 21,
            "a`) || Host(`b",
            "a && b",
            "HostRegexp(`.*`)",
        ),
        *("admin", "system", "friends-api"),
    ),
    "service": (
        *("svc@kubernetescrd", "api@internal", "other/web", "web.other", "web.other.svc", "-web"),
        *("Web", "1web", "", "w" * 64, "web:80", "`", LONG),
    ),
    "port": (0, -1, 65536, 10**30, "80", 80.5, "http", LONG),
    "domain": (
        *("", "*", "*.friends.example", "a.friends.example", "example", "friends.example."),
        *("FRIENDS.example", "friends.example.evil.net", "notfriends.example", "friends。example"),
        *(" friends.example", "evil.net`", LONG),
    ),
}


def hostile_paths() -> Iterator[HostileRequest]:
    """Yield every route with each of its path's parameters spoilt, as decoded and as sent."""
    for route in ROUTES:
        names = re.findall(r"\{(\w+)\}", route.path)
        fine = {name: _OTHERWISE.get(name, "web") for name in names}
        url = route.path.format(**fine)
        for name in names:
            for spoilt in dict.fromkeys(
                value for each in _NAMES for value in (each, quote(each, safe=""))
            ):
                parameters = tuple({**fine, name: spoilt}.items())
                yield HostileRequest(route.method, url, parameters=parameters)


def hostile_queries() -> Iterator[HostileRequest]:
    """Yield every route with parameters that it does not know, or of values it does not take."""
    for route in ROUTES:
        url = _url_of(route.path)
        for query in _QUERIES:
            yield HostileRequest(route.method, f"{url}?{query}")


def hostile_bodies() -> Iterator[HostileRequest]:
    """Yield every route that reads a body with bodies and types of bodies that are not JSON."""
    for route in ROUTES:
        if route.method in {"POST", "PUT"}:
            url = _url_of(route.path)
            for junk in _JUNK:
                yield HostileRequest(route.method, url, junk)
            for content_type in _NO_JSON_TYPES:
                yield HostileRequest(route.method, url, b'{"a": 1}', content_type)


def hostile_callers() -> Iterator[HostileRequest]:
    """Yield every route that needs a token with credentials that are none."""
    for route in ROUTES:
        if route.access is not Access.PUBLIC:
            for credentials in _NO_TOKENS:
                yield HostileRequest(route.method, _url_of(route.path), authorization=credentials)


def hostile_fields() -> Iterator[HostileRequest]:
    """Yield registrations, updates, relationships and exposures with one field spoilt."""
    wrong_types: tuple[Json, ...] = (True, 1.5, [], {}, ["x"], {"x": 1})
    for name, values in _NO_FRIENDS.items():
        for value in (*values, *wrong_types):
            yield post_json("/api/friends", {**_FRIEND, name: value})
            if name not in {"id", "cluster"}:
                body = json.dumps({name: value}).encode()
                yield HostileRequest("PUT", "/api/friends/alice", body)
    for name, values in _NOT_EXPOSED.items():
        for value in (*values, None, *wrong_types):
            yield post_json(EXPOSE, {**_EXPOSED, name: value})
    for value in ("", "Active", "owner", LONG, None, 7, *wrong_types):
        body = json.dumps({"status": value}).encode()
        yield HostileRequest("PUT", "/api/friends/alice/agents/mochi", body)
    for extra in ("uid", "namespace", "phase", "tier", "__proto__", "token", LONG):
        yield post_json("/api/friends", {**_FRIEND, extra: "x"})
        yield post_json(EXPOSE, {**_EXPOSED, extra: "x"})


def _url_of(path: str) -> str:
    names = re.findall(r"\{(\w+)\}", path)
    return path.format(**{name: _OTHERWISE.get(name, "web") for name in names})
