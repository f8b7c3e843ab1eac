"""Configuration: typed, and named when it is missing or bad."""

import json
from pathlib import Path
from typing import Any

import pytest

from chalicelib.domain.dns import Domain
from chalicelib.domain.friend_limits import FriendLimits
from chalicelib.settings import Settings, SettingsError

MINIMAL = {
    "TABLE_NAME": "friends",
    "WORKSPACE_BUCKET": "workspace",
    "RUN_OPERATION_FUNCTION": "run-operation",
}
DOMAIN = {"name": "friends.example", "zone_id": "0123456789abcdef" * 2, "target": "lb.example.net"}


def test_what_has_a_default_may_be_left_out() -> None:
    settings = Settings.from_env(MINIMAL)
    assert settings.cluster_names == ("main",)
    assert settings.api_tokens_secret == "friends/api-tokens"
    assert settings.layout.ingress_namespace == "traefik"
    assert not settings.allow_loopback_cluster
    assert not settings.require_relationship
    assert settings.friend_limits == FriendLimits(per_agent=25, in_all=1000)
    assert settings.domains == ()
    assert settings.cloudflare_secret == "friends/cloudflare"
    assert settings.cloudflare_url == "https://api.cloudflare.com/client/v4"


def test_the_reserved_labels_are_those_of_the_shipped_configuration() -> None:
    config = json.loads((Path(__file__).parents[2] / ".chalice" / "config.json").read_text())
    shipped = config["environment_variables"]
    expected = Settings.from_env(MINIMAL).reserved_labels
    assert {"grafana_*", "release", "k8s-app"} <= {*expected}
    assert Settings.from_env(MINIMAL | shipped).reserved_labels == expected
    assert Settings.from_env(MINIMAL | {"RESERVED_LABELS": ""}).reserved_labels == ()
    own = Settings.from_env(MINIMAL | {"RESERVED_LABELS": " team , x.example/* "})
    assert own.reserved_labels == ("team", "x.example/*")


def test_the_worker_hands_on_to_itself() -> None:
    worker = {**MINIMAL, "RUN_OPERATION_FUNCTION": "", "AWS_LAMBDA_FUNCTION_NAME": "itself"}
    assert Settings.from_env(worker).run_operation_function == "itself"


def test_values_are_parsed() -> None:
    settings = Settings.from_env(
        MINIMAL
        | {
            "CLUSTERS": "main, second",
            "REQUIRE_RELATIONSHIP": "true",
            "FRIENDS_PER_AGENT": "10000",
            "FRIENDS_MOST": "1",
            "CLUSTER_CIDRS": "203.0.113.0/24,2001:db8::/32",
        }
    )
    assert settings.cluster_names == ("main", "second")
    assert settings.require_relationship
    assert settings.friend_limits == FriendLimits(per_agent=10_000, in_all=1)
    assert settings.layout.cluster_cidrs == ("203.0.113.0/24", "2001:db8::/32")


@pytest.mark.parametrize("name", MINIMAL)
def test_a_missing_variable_is_named(name: str) -> None:
    with pytest.raises(SettingsError, match=name):
        Settings.from_env({**MINIMAL, name: ""})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("CLUSTERS", "main,main"),
        ("CLUSTERS", ","),
        ("CLUSTERS", "Main"),
        ("SYSTEM_NAMESPACE", "a/b"),
        ("INGRESS_NAMESPACE", "-x"),
        ("REQUIRE_RELATIONSHIP", "yes"),
        ("ALLOW_LOOPBACK_CLUSTER", "1"),
        ("LOG_LEVEL", "LOUD"),
        ("REQUESTS_PER_SECOND", "0"),
        ("REQUESTS_PER_SECOND", "many"),
        ("REQUESTS_PER_SECOND", "10000"),
        ("FRIENDS_PER_AGENT", "0"),
        ("FRIENDS_MOST", "10001"),
        ("CLUSTER_CIDRS", "10.0.0.1/8"),
        ("CLUSTER_CIDRS", "everything"),
        ("RESERVED_LABELS", "a b"),
        ("RESERVED_LABELS", "release,-x"),
        ("RESERVED_LABELS", "[a-z]*"),
        ("RESERVED_LABELS", ",".join(f"l{number}" for number in range(65))),
        ("CLUSTER_CIDRS", "0.0.0.0/0"),
        ("CLUSTER_CIDRS", "203.0.113.0/24,2000::/3"),
    ],
)
def test_a_bad_variable_is_named(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=name):
        Settings.from_env({**MINIMAL, name: value})


def domains_of(*domains: Any) -> tuple[Domain, ...]:
    return Settings.from_env(MINIMAL | {"DOMAINS": json.dumps(domains)}).domains


def test_domains_are_parsed_in_order() -> None:
    second = {"name": "second.example", "target": "203.0.113.9", "proxied": False}
    assert domains_of(DOMAIN, DOMAIN | second) == (
        Domain("friends.example", DOMAIN["zone_id"], "lb.example.net", proxied=True),
        Domain("second.example", DOMAIN["zone_id"], "203.0.113.9", proxied=False),
    )


@pytest.mark.parametrize("text", ["", " ", "[]"])
def test_no_domain_is_no_exposure(text: str) -> None:
    assert Settings.from_env(MINIMAL | {"DOMAINS": text}).domains == ()


def test_an_address_is_kept_as_a_zone_spells_it() -> None:
    (domain,) = domains_of(DOMAIN | {"target": "2001:DB8:0::9"})
    assert domain.target == "2001:db8::9"


@pytest.mark.parametrize(
    "text",
    [
        *("{", "{}", "7", "null", '"a.net"', "[" * 100_000, "[7]", "[[]]", "[null]", "friends.net"),
    ],
)
def test_domains_that_are_no_list_of_objects_are_named(text: str) -> None:
    with pytest.raises(SettingsError, match=r"^DOMAINS"):
        Settings.from_env(MINIMAL | {"DOMAINS": text})


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *(("name", value) for value in ("", "example", "Friends.example", "friends.example.")),
        *(("name", value) for value in ("*.x.net", "203.0.113.9", "a..net", "-a.net", "a_b.net")),
        *(("name", value) for value in ("a.net\n", "a b.net", "é.net", None, 7, ["a.net"])),
        ("name", ".".join(["d" * 62] * 3) + ".x"),
        *(("zone_id", value) for value in ("", "F" * 32, "f" * 31, "f" * 33, "g" * 32, None, 7)),
        *(("target", value) for value in ("", "localhost", "https://x.net", "x.net.", "X.net")),
        *(("target", value) for value in ("x.net:80", "300.1.1.1", "1.1.1.1/32", "fe80::1%eth0")),
        *(("target", value) for value in (None, 7, 3405803785, True)),
        *(("proxied", value) for value in ("true", 1, 0, None)),
    ],
)
def test_a_bad_domain_is_named_with_its_field(field: str, value: Any) -> None:
    with pytest.raises(SettingsError, match=rf"^DOMAINS\[1\]\.{field} "):
        domains_of(DOMAIN, DOMAIN | {"name": "second.example", field: value})


def test_the_longest_domain_leaves_room_for_a_label() -> None:
    name = ".".join(["d" * 62] * 3)
    assert len(name) == 188
    assert domains_of(DOMAIN | {"name": f"{name[1:]}.x"[-189:]})


@pytest.mark.parametrize("field", DOMAIN)
def test_a_domain_has_what_it_needs(field: str) -> None:
    with pytest.raises(SettingsError, match=r"^DOMAINS\[0\] must have"):
        domains_of({key: value for key, value in DOMAIN.items() if key != field})


def test_what_a_domain_does_not_have_is_refused() -> None:
    with pytest.raises(SettingsError, match=r"^DOMAINS\[0\] may have"):
        domains_of(DOMAIN | {"proxy": False})


def test_a_domain_says_nothing_twice() -> None:
    text = json.dumps([DOMAIN])
    assert Settings.from_env(MINIMAL | {"DOMAINS": text}).domains
    twice = text.replace('"name"', '"name": "other.example", "name"')
    with pytest.raises(SettingsError, match=r"^DOMAINS must be a JSON array"):
        Settings.from_env(MINIMAL | {"DOMAINS": twice})


def test_a_domain_is_named_once() -> None:
    with pytest.raises(SettingsError, match="once"):
        domains_of(DOMAIN, DOMAIN | {"target": "other.example.net"})


def test_a_tunnel_is_reached_through_the_proxy_alone() -> None:
    tunnel = DOMAIN | {"target": "0a1b2c3d.cfargotunnel.com"}
    assert domains_of(tunnel)[0].proxied
    with pytest.raises(SettingsError, match="tunnel"):
        domains_of(tunnel | {"proxied": False})


@pytest.mark.parametrize(
    ("url", "loopback"),
    [
        ("https://api.cloudflare.com/client/v4", "false"),
        ("https://proxy.example:8443/v4/", "false"),
        ("http://127.0.0.1:8787/client/v4", "true"),
        ("http://[::1]:8787", "true"),
        ("http://localhost:8787", "true"),
    ],
)
def test_cloudflares_url_is_https_or_a_double_at_hand(url: str, loopback: str) -> None:
    env = MINIMAL | {"CLOUDFLARE_URL": url, "ALLOW_LOOPBACK_CLUSTER": loopback}
    assert Settings.from_env(env).cloudflare_url == url.rstrip("/")


@pytest.mark.parametrize(
    ("url", "loopback"),
    [
        ("http://127.0.0.1:8787", "false"),
        ("http://api.cloudflare.com/client/v4", "true"),
        ("http://127.0.0.1.evil.net", "true"),
        ("http://localhost@evil.net", "true"),
        ("https://api.cloudflare.com@evil.net", "false"),
        ("https://evil.net\\@api.cloudflare.com", "false"),
        ("https://a.net/?x", "false"),
        ("https://a.net/#x", "false"),
        ("https://a.net/ b", "false"),
        ("https://a.net:port", "false"),
        ("https://[::1", "false"),
        ("https://", "false"),
        ("ftp://a.net", "false"),
        ("file:///etc/passwd", "true"),
        ("api.cloudflare.com", "false"),
    ],
)
def test_a_token_is_sent_nowhere_else(url: str, loopback: str) -> None:
    with pytest.raises(SettingsError, match=r"^CLOUDFLARE_URL"):
        Settings.from_env(MINIMAL | {"CLOUDFLARE_URL": url, "ALLOW_LOOPBACK_CLUSTER": loopback})
