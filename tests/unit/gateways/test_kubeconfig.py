"""Threats J: kubeconfigs that would run, read, skip or send something."""

import base64
import json
import subprocess
from datetime import UTC, datetime
from ipaddress import ip_address
from typing import Any
from unittest.mock import ANY

import pytest
import yaml

from chalicelib.domain.errors import UpstreamFailed
from chalicelib.gateways.kubeconfig import ClusterAccess, is_forbidden, parse_kubeconfig
from tests.factories import KUBECONFIG_SECRETS, create_kubeconfig

SECRET = KUBECONFIG_SECRETS["token"]


def load(config: Any, *, allow_loopback: bool = False) -> ClusterAccess:
    text = config if isinstance(config, str) else yaml.safe_dump(config)
    return parse_kubeconfig(text, allow_loopback=allow_loopback)


def refuse(config: Any) -> str:
    with pytest.raises(UpstreamFailed) as refusal:
        load(config)
    assert refusal.value.code == "cluster_misconfigured"
    assert SECRET not in refusal.value.message
    assert refusal.value.__cause__ is None
    return refusal.value.message


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def test_a_token_and_an_inline_authority_are_read() -> None:
    access = load(create_kubeconfig(user={"token": SECRET}))
    assert (access.server, access.token) == ("https://203.0.113.7:6443", SECRET)
    assert access.ca_pem == KUBECONFIG_SECRETS["authority"]


def test_a_kubeconfig_may_be_json() -> None:
    assert load(json.dumps(create_kubeconfig())).token == KUBECONFIG_SECRETS["token"]


def test_an_inline_client_certificate_is_read() -> None:
    key = KUBECONFIG_SECRETS["client key"].encode()
    user = {"client-certificate-data": b64(b"cert"), "client-key-data": b64(key)}
    access = load(create_kubeconfig(user=user))
    assert (access.client_certificate_pem, access.client_key_pem) == (b"cert", key)
    assert KUBECONFIG_SECRETS["client key"] not in repr(access)


def test_access_never_shows_its_credential() -> None:
    assert SECRET not in repr(load(create_kubeconfig(user={"token": SECRET})))


@pytest.mark.parametrize(
    "user",
    [
        {"exec": {"command": "sh", "args": ["-c", "touch /tmp/ran"], "apiVersion": "v1"}},
        {"token": SECRET, "exec": {"command": "sh"}},
        {"auth-provider": {"name": "gcp", "config": {"cmd-path": "/bin/sh"}}},
    ],
)
def test_j01_a_kubeconfig_that_runs_a_program_is_refused(
    user: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(*_: object, **__: object) -> None:
        pytest.fail("a program was started")

    monkeypatch.setattr(subprocess, "Popen", run)
    refuse(create_kubeconfig(user=user))


@pytest.mark.parametrize(
    "spoilt",
    [
        create_kubeconfig(user={"tokenFile": "/proc/self/environ"}),
        create_kubeconfig(user={"token": SECRET, "tokenFile": "/etc/passwd"}),
        create_kubeconfig(user={"client-certificate": "/a", "client-key": "/b"}),
        create_kubeconfig(cluster={"certificate-authority": "/etc/ssl/ca.pem"}),
    ],
)
def test_j02_a_kubeconfig_that_reads_files_is_refused(spoilt: Any) -> None:
    refuse(spoilt)


@pytest.mark.parametrize(
    "spoilt",
    [
        create_kubeconfig(cluster={"insecure-skip-tls-verify": True}),
        create_kubeconfig(cluster={"insecure-skip-tls-verify": False}),
        create_kubeconfig(cluster={"proxy-url": "http://proxy.example.com"}),
        create_kubeconfig(cluster={"tls-server-name": "other.example.com"}),
        create_kubeconfig(server="http://203.0.113.7:6443"),
        create_kubeconfig(server="HTTP://203.0.113.7"),
        create_kubeconfig(server="file:///etc/passwd"),
        create_kubeconfig(cluster={"certificate-authority-data": ""} | {"extensions": []}),
    ],
)
def test_j03_a_kubeconfig_that_weakens_tls_or_leaves_by_a_proxy_is_refused(spoilt: Any) -> None:
    refuse(spoilt)


@pytest.mark.parametrize(
    "server",
    [
        "https://169.254.169.254",
        "https://127.0.0.1:9001",
        "https://127.1",
        "https://localhost:6443",
        "https://api.localhost",
        "https://[::1]:6443",
        "https://[fd00:ec2::254]",
        "https://[::ffff:169.254.169.254]",
        "https://[64:ff9b::a9fe:a9fe]",
        "https://[64:ff9b:1::a9fe:a9fe]",
        "https://[2002:a9fe:a9fe::1]",
        "https://[fd20:ce::254]",
        "https://100.100.100.200",
        "https://240.0.0.1",
        "https://255.255.255.255",
        "https://0.0.0.1",
        "https://2130706433",
        "https://0x7f000001",
        "https://0177.0.0.1",
        "https://0.0.0.0",
        "https://[::]",
        "https://user@203.0.113.7",
        "https://user:pass@203.0.113.7",
        "https://203.0.113.7\\@169.254.169.254",
        "https://203.0.113.7#@169.254.169.254",
        "https://203.0.113.7?x=1",
        "https://203.0.113.7/../x",
        "https://api.example.com%2f@evil",
        "https://224.0.0.1",
        "https://api.exämple.com",
        "https://",
        "https://203.0.113.7:99999",
        7,
        None,
    ],
)
def test_j04_a_server_where_no_api_server_may_be_is_refused(server: Any) -> None:
    refuse(create_kubeconfig(server=server))


@pytest.mark.parametrize(
    "server",
    [
        "https://api.example.com",
        "https://10.1.2.3:6443",
        "https://[2001:db8::1]:6443",
        "https://rancher.example.com/k8s/clusters/c-m-1",
    ],
)
def test_a_public_or_private_server_is_fine(server: str) -> None:
    assert load(create_kubeconfig(server=server)).server == server


def test_j04_loopback_is_for_local_runs_alone() -> None:
    config = create_kubeconfig(server="https://127.0.0.1:6443")
    assert load(config, allow_loopback=True).server == "https://127.0.0.1:6443"
    refuse(config)


@pytest.mark.parametrize("address", ["169.254.169.254", "127.0.0.1", "::ffff:127.0.0.1", "fe80::1"])
def test_j04_what_a_name_resolves_to_is_held_to_the_same_rule(address: str) -> None:
    assert is_forbidden(ip_address(address), allow_loopback=False)


@pytest.mark.parametrize("extra", ["as", "as-groups", "as-uid", "as-user-extra"])
def test_j05_impersonation_is_refused(extra: str) -> None:
    refuse(create_kubeconfig(user={"token": SECRET, extra: "admin"}))


def two(plural: str) -> Any:
    # Not one object twice: YAML would say the second by reference.
    return {plural: [*create_kubeconfig()[plural], *create_kubeconfig()[plural]]}


@pytest.mark.parametrize(
    "spoilt",
    [
        create_kubeconfig(**two("contexts")),
        create_kubeconfig(clusters=[]),
        create_kubeconfig(users=None),
        create_kubeconfig() | {"current-context": "other"},
        create_kubeconfig() | {"current-context": None},
        create_kubeconfig(extensions=[]),
        "x" * (64 * 1024 + 1),
        "a: &a [x]\nb: *a",
        "a: &a [1]\nb: &b [*a,*a]\nc: &c [*b,*b]",
        "token: a\ntoken: b",
        f"users: [{{name: x, user: {{token: {SECRET}",
        "[" * 60_000,
        "- 1",
        "",
        "!!python/object/apply:os.system ['true']",
        "{? [1, 2] : x}",
        "!!bool foo",
        "!!timestamp abc",
        "!!int ''",
        "1: x",
        "\x00",
    ],
)
def test_j06_a_kubeconfig_of_another_shape_is_refused(spoilt: Any) -> None:
    refuse(spoilt)


VALID = yaml.safe_dump(create_kubeconfig())


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (VALID.replace("contexts:", "contexts: &a"), "anchors"),
        (VALID.replace("current-context: main", "current-context: &a main"), "anchors"),
        (VALID + "kind: Config\n", "a key twice"),
        (VALID + f"# {'x' * 64 * 1024}\n", "larger than 64 KiB"),
    ],
)
def test_j06_a_valid_kubeconfig_with_one_thing_too_many_is_refused(text: str, why: str) -> None:
    assert load(VALID)
    assert why in refuse(text)


def without_name(config: Any, plural: str) -> Any:
    del config[plural][0]["name"]
    return config


@pytest.mark.parametrize(
    ("config", "why"),
    [
        (create_kubeconfig(user={"token": 7}), "token"),
        (create_kubeconfig(user={"token": ["x"]}), "token"),
        (create_kubeconfig(user={"token": "tökén"}), "token"),
        (create_kubeconfig(user={"token": "a\nb"}), "token"),
        (create_kubeconfig(user={"client-key-data": "eA=="}), "and nothing else"),
        *(
            (create_kubeconfig(**two(each)), "exactly one")
            for each in ("contexts", "clusters", "users")
        ),
        (create_kubeconfig(cluster={"certificate-authority-data": "no base64!"}), "base64"),
        (create_kubeconfig(cluster={"certificate-authority-data": None}), "base64"),
        (create_kubeconfig(server="https://exämple.com"), "https URL"),
        (create_kubeconfig(server="https://api.example.com/ä"), "https URL"),
        (create_kubeconfig(server=f"https://{'a' * 63}.{'b' * 190}"), "address"),
        *(
            (without_name(create_kubeconfig(), each), "no name")
            for each in ("contexts", "clusters", "users")
        ),
    ],
)
def test_j06_a_refusal_names_what_is_wrong(config: Any, why: str) -> None:
    assert why in refuse(config)


@pytest.mark.parametrize(
    "address", ["::", "64:ff9b::7f00:1", "2002:7f00:1::", "::ffff:169.254.169.254"]
)
def test_j04_nor_may_it_resolve_to_what_stands_for_such_an_address(address: str) -> None:
    assert is_forbidden(ip_address(address), allow_loopback=False)


@pytest.mark.parametrize("address", ["64:ff9b::808:808", "2002:808:808::", "::ffff:8.8.8.8"])
def test_what_stands_for_a_public_address_is_fine(address: str) -> None:
    assert not is_forbidden(ip_address(address), allow_loopback=False)


AUTHORITY = KUBECONFIG_SECRETS["authority"].encode()
KEY = b"-----BEGIN PRIVATE KEY-----\nMC4CAQ\n-----END PRIVATE KEY-----\n"
PUBLIC_KEY = b"-----BEGIN PUBLIC KEY-----\nMFkwEw\n-----END PUBLIC KEY-----\n"


def with_authority(data: str) -> Any:
    return create_kubeconfig(cluster={"certificate-authority-data": data})


@pytest.mark.case("W6")
@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b64(b64(AUTHORITY).encode()), "is encoded twice"),
        (b64(base64.encodebytes(AUTHORITY)), "is encoded twice"),
        (b64(KEY), "holds a private key"),
        (b64(AUTHORITY + KEY), "holds a private key"),
        (b64(PUBLIC_KEY), "is not a certificate in PEM"),
        ("", "is empty"),
        (b64(b"\n"), "is empty"),
        (b64(b"not PEM at all"), "is not a certificate in PEM"),
        (b64(AUTHORITY[:200]), "is not a certificate in PEM"),
        (b64(AUTHORITY.replace(b"MIIB", b"MIIC")), "is not a certificate in PEM"),
        (AUTHORITY.decode(), "is missing or is not base64"),
    ],
)
def test_an_authority_that_is_no_certificate_is_refused_with_the_cause(data: str, why: str) -> None:
    assert f"certificate-authority-data {why}" in refuse(with_authority(data))


@pytest.mark.case("W6")
@pytest.mark.parametrize(
    "data",
    [
        base64.encodebytes(AUTHORITY).decode(),
        b64(AUTHORITY) + "\n",
        base64.encodebytes(AUTHORITY).decode().replace("\n", "\r\n"),
        b64(AUTHORITY * 2),
        b64("Türkisch\n".encode() + AUTHORITY),
    ],
    ids=["lines", "a line's end", "lines of Windows", "two", "a remark around it"],
)
def test_an_authority_is_read_however_it_is_broken_into_lines(data: str) -> None:
    assert "BEGIN CERTIFICATE" in (load(with_authority(data)).ca_pem or "")


@pytest.mark.case("W6")
def test_an_authority_in_a_yaml_block_scalar_is_read() -> None:
    lines = "".join(f"\n        {each}" for each in base64.encodebytes(AUTHORITY).decode().split())
    assert b64(AUTHORITY) in VALID
    assert load(VALID.replace(b64(AUTHORITY), f"|{lines}")).ca_pem == AUTHORITY.decode()


@pytest.mark.case("W6")
def test_without_an_authority_the_access_names_none() -> None:
    config = create_kubeconfig()
    del config["clusters"][0]["cluster"]["certificate-authority-data"]
    assert load(config).ca_pem is None


def token_with(claims: Any) -> str:
    text = claims if isinstance(claims, bytes) else json.dumps(claims).encode()
    return f"e30.{base64.urlsafe_b64encode(text).decode().rstrip('=')}.c2ln"


@pytest.mark.case("W7")
@pytest.mark.parametrize(
    ("token", "ends_at"),
    [
        (token_with({"exp": 1795000000}), datetime(2026, 11, 18, 11, 6, 40, tzinfo=UTC)),
        (token_with({"exp": 1795000000.5, "sub": "ä" * 9}), ANY),
        (token_with({"exp": 0}), datetime(1970, 1, 1, tzinfo=UTC)),
        (token_with({"sub": "a Secret's token lasts"}), None),
        (token_with({"exp": "tomorrow"}), None),
        (token_with({"exp": None}), None),
        (token_with({"exp": True}), None),
        (token_with({"exp": 1e300}), None),
        (token_with({"exp": -1e300}), None),
        (token_with([1]), None),
        (token_with(b"\xff"), None),
        (token_with(b"[" * 6000), None),
        ("a.b", None),
        ("a.!.c", None),
        ("an-opaque-token", None),
    ],
)
def test_when_a_token_ends_is_read_where_it_says_so(token: str, ends_at: datetime | None) -> None:
    assert load(create_kubeconfig(user={"token": token})).ends_at == ends_at


def test_a_client_certificate_says_nothing_of_its_end() -> None:
    user = {"client-certificate-data": b64(b"cert"), "client-key-data": b64(b"key")}
    assert load(create_kubeconfig(user=user)).ends_at is None


@pytest.mark.case("W9")
@pytest.mark.parametrize(
    ("server", "why"),
    [
        ("https://kube.example.com.:6443", "ends in a dot"),
        ("https://kube.example.com.", "ends in a dot"),
        ("https://kube_api.example.com", "neither an address in its usual spelling nor a host"),
        ("https://-kube.example.com", "neither an address in its usual spelling nor a host"),
        ("https://*.example.com", "neither an address in its usual spelling nor a host"),
        ("https://10.0.0.256:6443", "neither an address in its usual spelling nor a host"),
        (f"https://{'a' * 63}.{'b' * 190}", "at most 253 characters"),
        ("https://127.0.0.1:6443", "is at a loopback, link-local or metadata address"),
        ("https://localhost:6443", "is at a loopback, link-local or metadata address"),
    ],
)
def test_a_server_is_refused_for_the_true_cause(server: str, why: str) -> None:
    assert f"its server {'is' if why.startswith('is') else 'has'}" in (
        message := refuse(create_kubeconfig(server=server))
    )
    assert why in message


def test_f04_a_parse_error_never_prints_the_line() -> None:
    message = refuse(f"users:\n- token: {SECRET}: {SECRET}\n  [")
    assert message.startswith("The cluster's kubeconfig is refused: it is not YAML.")
