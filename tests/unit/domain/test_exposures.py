"""Threats G, as far as they are rules: which names, ports and Services go into a host name."""

import re
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.domain.backends import find_port, require_port
from chalicelib.domain.dns import is_host_name
from chalicelib.domain.errors import ApiError, Conflict, InvalidInput, NotFound
from chalicelib.domain.exposures import (
    ExposeRequest,
    exposure_name_fault,
    hostname_of,
    parse_expose,
    require_valid,
)
from chalicelib.domain.fields import FRIEND_ID
from tests.exposures import HOST, create_domain, create_exposure
from tests.manifests import create_service_manifest

DOMAINS = (create_domain(), create_domain("second.example"))
BODY = {"name": "my-app", "service": "web"}
NAMES = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,18}[a-z0-9])?", fullmatch=True)
DOMAIN_NAMES = st.from_regex(r"([a-z0-9]{1,60}\.){1,3}[a-z]{1,5}", fullmatch=True)
DNS_LABEL = re.compile(r"(?!-)(?!xn--)[a-z0-9-]{1,63}(?<!-)")


def parse(friend_id: str = "alice", **fields: Any) -> ExposeRequest:
    return parse_expose(BODY | fields, DOMAINS, friend_id)


def refusal_of(friend_id: str = "alice", **fields: Any) -> InvalidInput:
    with pytest.raises(InvalidInput) as refusal:
        parse(friend_id, **fields)
    return refusal.value


def test_port_and_domain_have_defaults() -> None:
    assert parse() == ExposeRequest("my-app", "web", 80, DOMAINS[0])
    assert parse(port=8080, domain="second.example").domain is DOMAINS[1]


def test_every_fault_is_named_at_once() -> None:
    body = {"name": "-", "service": "a/b", "port": "80", "domain": "x", "ho/st": 1}
    with pytest.raises(InvalidInput) as refusal:
        parse_expose(body, DOMAINS, "alice")
    paths = [fault.path for fault in refusal.value.faults]
    assert paths == ["/ho~1st", "/name", "/service", "/port", "/domain"]
    assert "4 more" in refusal.value.message


def test_name_and_service_are_required() -> None:
    with pytest.raises(InvalidInput) as refusal:
        parse_expose({}, DOMAINS, "alice")
    assert [fault.path for fault in refusal.value.faults] == ["/name", "/service"]


def test_without_a_domain_nothing_can_be_exposed() -> None:
    with pytest.raises(InvalidInput) as refusal:
        parse_expose(BODY, (), "alice")
    assert refusal.value.code == "no_domain_configured"


def test_no_long_value_comes_back() -> None:
    long = "x" * 5000
    fields: Any = {"name": long, "service": long, "port": long, "domain": long, long: 1}
    error = refusal_of(**fields)
    for fault in error.faults:
        assert "x" * 65 not in fault.path + fault.message
    assert "x" * 65 not in error.message


def test_g01_two_friends_can_spell_one_host_name() -> None:
    assert hostname_of("a-b", "c", "x.net") == hostname_of("a", "b-c", "x.net") == "a-b-c.x.net"


@given(NAMES, NAMES, NAMES)
def test_g01_the_host_name_alone_does_not_tell_whose_it_is(a: str, b: str, c: str) -> None:
    assert hostname_of(f"{a}-{b}", c, "x.net") == hostname_of(a, f"{b}-{c}", "x.net")


@pytest.mark.parametrize("name", ["a", "1", "a-b", "a--b", "x" * 20, "app", "web", "mta", "a1-2b"])
def test_g02_a_name_is_a_short_dns_label(name: str) -> None:
    assert parse(name=name).name == name
    assert exposure_name_fault(name) is None


@pytest.mark.parametrize(
    "name",
    [
        *(
            "",
            "-a",
            "a-",
            "-",
            "a_b",
            "*",
            "@",
            ".",
            "a.b",
            "A",
            "ä",
            "x" * 21,
            "a\n",
            " a",
            "a\x00",
        ),
        *("xn--p1ai", "ab--c", "xn--", "аpp", "a․b", "１"),
    ],
)
def test_g02_what_is_no_name_is_refused(name: str) -> None:
    assert [fault.path for fault in refusal_of(name=name).faults] == ["/name"]
    assert exposure_name_fault(name)


@pytest.mark.parametrize("name", [None, 7, True, ["a"], {"a": 1}])
def test_g02_a_name_is_text(name: Any) -> None:
    assert refusal_of(name=name).faults[0].message == "name must be a string."


@pytest.mark.case("L2")
@pytest.mark.parametrize(
    ("name", "friend_id"),
    [
        ("friends-api-kc", "alice"),
        ("admin-login", "alice"),
        ("friends", "api-kc"),
        ("log", "in-alice"),
        ("sign", "up"),
        ("accounts", "alice"),
        ("www2", "alice"),
        ("admin-2", "alice"),
        ("friends-apis", "a"),
        ("sso-login", "b-c"),
        ("api", "alice"),
    ],
)
def test_a_host_name_that_starts_as_the_platforms_is_refused(name: str, friend_id: str) -> None:
    refusal = refusal_of(friend_id, name=name)
    assert [fault.path for fault in refusal.faults] == ["/name"]
    assert refusal.message == "name is reserved; choose another name."
    recorded = create_exposure(
        name=name, friend_id=friend_id, hostname=f"{name}-{friend_id}.friends.example"
    )
    require_valid(recorded)
    assert exposure_name_fault(name) is None


@pytest.mark.case("L2")
@pytest.mark.parametrize(
    ("name", "friend_id"),
    [
        ("my-admin", "alice"),
        ("administration", "alice"),
        ("mailbox", "alice"),
        ("friends", "alice"),
        ("apidocs", "alice"),
        ("log", "alice"),
        ("a", "login"),
    ],
)
def test_a_word_that_only_begins_like_the_platforms_is_free(name: str, friend_id: str) -> None:
    assert parse(friend_id, name=name).name == name


@pytest.mark.case("L2")
@pytest.mark.parametrize(
    "word",
    [
        *("account", "admin", "administrator", "api", "auth", "billing", "console", "dashboard"),
        *("friends-api", "help", "idp", "imap", "log-in", "log-on", "login", "logon", "logout"),
        *("mail", "oauth", "oidc", "password", "payment", "root", "secure", "security", "sign-in"),
        *("sign-up", "signin", "signup", "smtp", "sso", "status", "support", "system", "verify"),
        *("webmail", "www"),
    ],
)
def test_each_of_the_platforms_words_is_reserved(word: str) -> None:
    assert "reserved" in refusal_of(name=word).message
    assert "reserved" in refusal_of("alice", name=f"{word}-a").message


@pytest.mark.parametrize("name", ["admin", "system", "friends-api"])
def test_g02_a_reserved_name_is_refused_but_can_be_taken_down(name: str) -> None:
    assert "reserved" in refusal_of(name=name).message
    assert exposure_name_fault(name) is None


def test_g02_name_and_id_together_may_not_spell_a_label_with_a_meaning() -> None:
    assert "reserved" in refusal_of("sts", name="mta").message
    assert parse("sts", name="mtb").name == "mtb"


def test_g02_a_label_is_at_most_63_and_a_host_name_253_characters() -> None:
    assert parse("i" * 42, name="n" * 20)
    assert refusal_of("i" * 43, name="n" * 20).faults[0].path == "/name"
    far = create_domain(f"{'d' * 63}.{'d' * 63}.{'d' * 60}.net")
    body = BODY | {"name": "n" * 20}
    assert parse_expose(body, (far,), "i" * 39)
    with pytest.raises(InvalidInput, match="253"):
        parse_expose(body, (far,), "i" * 40)


@given(NAMES, st.from_regex(FRIEND_ID, fullmatch=True), DOMAIN_NAMES)
def test_g02_whatever_is_accepted_is_a_host_name(name: str, friend_id: str, domain: str) -> None:
    try:
        wanted = parse_expose({**BODY, "name": name}, (create_domain(domain),), friend_id)
    except InvalidInput:
        assert exposure_name_fault(name) or (name, friend_id) == ("mta", "sts")
        return
    hostname = hostname_of(wanted.name, friend_id, wanted.domain.name)
    assert is_host_name(hostname)
    label, _, rest = hostname.partition(".")
    assert DNS_LABEL.fullmatch(label)
    assert label[2:4] != "--"
    assert rest == domain
    made = {"name": name, "friend_id": friend_id, "domain": domain, "hostname": hostname}
    require_valid(create_exposure(**made))


@pytest.mark.parametrize(
    "domain",
    [
        *("", "*.friends.example", "*", "a.friends.example", "example", "friends.example."),
        *("FRIENDS.example", "friends.example.evil.net", "notfriends.example", "friends.example\n"),
        *(" friends.example", ".friends.example", "friends。example", None, 1, True, ["x"], {}),
    ],
)
def test_g03_only_a_configured_domain_as_it_is_written(domain: Any) -> None:
    (fault,) = refusal_of(domain=domain).faults
    assert fault.path == "/domain"
    known = "must be one of: friends.example, second.example."
    assert fault.message == f"domain {known if isinstance(domain, str) else 'must be a string.'}"


@pytest.mark.parametrize("port", [0, -1, 65536, 10**30, "80", 80.0, 80.5, True, None, [80], "http"])
def test_g04_a_port_is_a_whole_number(port: Any) -> None:
    assert [fault.path for fault in refusal_of(port=port).faults] == ["/port"]


@pytest.mark.parametrize("port", [1, 80, 65535])
def test_g04_any_port_of_tcp_will_do(port: int) -> None:
    assert parse(port=port).port == port


@pytest.mark.parametrize(
    "service",
    [
        *("svc@kubernetescrd", "api@internal", "other/web", "web.other", "web.other.svc", "-web"),
        *("web-", "Web", "1web", "", "w" * 64, "web\n", "web:80", "`", None, 7, ["web"]),
    ],
)
def test_g05_a_service_is_a_plain_name_in_the_friends_namespace(service: Any) -> None:
    assert [fault.path for fault in refusal_of(service=service).faults] == ["/service"]


@pytest.mark.parametrize(
    "name",
    [
        "a`",
        "a`) || Host(`b",
        "a\n",
        "a && b",
        "HostRegexp(`.*`)",
        "a`)",
        "{a}",
        "a,b",
        "a\\b",
        "a'",
    ],
)
def test_g06_no_rule_gets_into_a_name(name: str) -> None:
    assert refusal_of(name=name).faults[0].path == "/name"


@pytest.mark.parametrize(
    "fields",
    [
        {"name": "a`"},
        {"name": "xn--a"},
        {"name": "a" * 30, "friend_id": "b" * 40},
        {"friend_id": "a.b"},
        {"friend_id": "Alice"},
        {"uid": "a b"},
        {"service": "api@internal"},
        {"service": 7},
        {"port": 0},
        {"port": True},
        {"domain": "evil.net`"},
        {"domain": "example"},
        {"domain": ".".join(["d" * 62] * 4)},
        {"hostname": "bank.example"},
        {"hostname": f"{HOST}`) || Host(`bank.example"},
    ],
)
def test_g06_a_row_that_no_request_could_have_made_is_refused(fields: dict[str, Any]) -> None:
    exposure = create_exposure(**fields)
    spelled = hostname_of(exposure.name, exposure.friend_id, exposure.domain)
    consistent = exposure if "hostname" in fields else replace(exposure, hostname=spelled)
    with pytest.raises(ValueError, match="breaks the rules") as refusal:
        require_valid(consistent)
    assert not any(str(value) in str(refusal.value) for value in fields.values() if value != 0)


@pytest.mark.parametrize(
    ("service", "kind", "code"),
    [
        (None, NotFound, "service_not_found"),
        (create_service_manifest(ports=[{"port": 81}]), NotFound, "port_not_found"),
        (create_service_manifest(ports=[]), NotFound, "port_not_found"),
        (create_service_manifest(ports=[{"port": 80, "protocol": "UDP"}]), NotFound, None),
        (create_service_manifest(type="ExternalName"), Conflict, "service_not_exposable"),
    ],
)
def test_g05_g11_the_service_is_there_has_the_port_and_stays_inside(
    service: Any, kind: type[ApiError], code: str | None
) -> None:
    with pytest.raises(kind) as refusal:
        require_port(service, parse())
    assert refusal.value.code == (code or "port_not_found")


def test_a_service_with_the_port_can_be_exposed() -> None:
    require_port(create_service_manifest(), parse())
    require_port(create_service_manifest(type="ClusterIP", clusterIP="None"), parse())


def test_a_port_is_found_by_number_or_name() -> None:
    ports = [{"name": "dns", "port": 80, "protocol": "UDP"}, {"name": "http", "port": 80}]
    service = create_service_manifest(ports=ports)
    assert find_port(service, 80) == find_port(service, "http") == ports[1]
    assert find_port(service, "80") is None
    assert find_port(service, "dns") is None
