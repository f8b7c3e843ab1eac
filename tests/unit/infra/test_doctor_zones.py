"""Domains outside of their zone, or with a target that cannot be reached, are refused."""

import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest

from chalicelib.gateways.cloudflare import CloudflareDns
from chalicelib.settings import Settings
from infra.cloudformation import DeployError
from infra.deploy import require_domains
from infra.doctor.findings import Finding
from infra.doctor.zones import check_domains, check_zone_names, check_zones
from infra.local.cloudflare import CloudflareDouble
from infra.stages import load_settings

ZONE, OTHER_ZONE = "0123456789abcdef0123456789abcdef", "f" * 32
TUNNEL = "3c1f2b1e-8a54-4d0b-9a77-2f1d7b1c9e10.cfargotunnel.com"


def settings_with(cloudflare: CloudflareDouble, **domain: Any) -> Settings:
    default = {"name": "friends.example", "zone_id": ZONE, "target": "ingress.example.net"}
    domains = json.dumps([{**default, **domain}])
    return load_settings("local", {"Domains": domains, "CloudflareUrl": cloudflare.url})


def told(findings: Iterator[Finding]) -> list[str]:
    return [str(each) for each in findings]


@pytest.mark.case("W2")
@pytest.mark.parametrize(
    ("target", "proxied", "fault"),
    [
        ("my-tunnel.cfargotunnel.com", True, "names the tunnel"),
        ("3c1f2b1e8a544d0b9a772f1d7b1c9e10.cfargotunnel.com", True, "names the tunnel"),
        (TUNNEL, True, None),
        ("10.0.0.7", True, "is private"),
        ("127.0.0.1", True, "is private"),
        ("fd00::7", True, "is private"),
        ("100.64.1.1", True, "is private"),
        ("169.254.169.254", True, "is private"),
        ("traefik.kube-system.svc.cluster.local", True, "is private"),
        ("ingress.corp.internal", True, "is private"),
        ("10.0.0.7", False, None),
        ("8.8.8.8", True, None),
        ("ingress.example.net", True, None),
    ],
)
def test_a_target_in_vain_is_refused(
    cloudflare: CloudflareDouble, target: str, proxied: bool, fault: str | None
) -> None:
    settings = settings_with(cloudflare, target=target, proxied=proxied)
    found = told(check_domains(settings))
    if fault is None:
        assert found == []
    else:
        (line,) = found
        assert line.startswith("FAIL  domain friends.example: Its target ")
        assert fault in line
        assert "Fix: correct domains.json" in line


@pytest.mark.case("W2")
@pytest.mark.parametrize(
    ("name", "zone_id", "outcome"),
    [
        ("friends.example", OTHER_ZONE, "FAIL  domain friends.example: It is not in the zone sec"),
        ("friends.example", ZONE, "ok    domain friends.example: in the zone friends.example"),
        ("a.friends.example", ZONE, "ok    domain a.friends.example: in the zone friends.example"),
        ("notfriends.example", ZONE, "FAIL  domain notfriends.example: It is not in the zone fri"),
        ("example.net", ZONE, "FAIL  domain example.net: It is not in the zone friends.example"),
        ("friends.example", "0" * 32, "skip  domain friends.example: its zone's name"),
    ],
)
def test_a_domain_outside_of_its_zone_is_refused(
    cloudflare: CloudflareDouble, name: str, zone_id: str, outcome: str
) -> None:
    settings = settings_with(cloudflare, name=name, zone_id=zone_id)
    (line,) = told(check_zone_names(lambda: cloudflare.token, settings))
    assert line.startswith(outcome)


@pytest.mark.case("W2")
@pytest.mark.parametrize("fault", [{"status": 403}, {"drop": True}, {"status": 200, "body": b"{}"}])
def test_a_token_that_may_not_see_its_zone_is_no_failure(
    cloudflare: CloudflareDouble, fault: dict[str, Any]
) -> None:
    cloudflare.fail_next(**fault)
    (line,) = told(check_zone_names(lambda: cloudflare.token, settings_with(cloudflare)))
    assert line.startswith("skip  domain friends.example: its zone's name: ")
    assert "Zone / Zone / Read" in line


@pytest.mark.case("W2")
def test_the_record_that_is_tried_tells_of_the_zone_too(cloudflare: CloudflareDouble) -> None:
    # What GET zone may not show, the record's own name does.
    cloudflare.fail_next(status=403, match=f"GET .*/zones/{OTHER_ZONE}$")
    settings = settings_with(cloudflare, zone_id=OTHER_ZONE)
    dns = CloudflareDns(lambda: cloudflare.token, None, url=cloudflare.url)
    (*_, line) = told(check_zones(dns, lambda: cloudflare.token, settings))
    assert line.startswith("FAIL  zone friends.example: ")
    assert "correct domains.json" in line
    assert cloudflare.records(OTHER_ZONE) == []


@pytest.fixture
def stored(aws: None, cloudflare: CloudflareDouble) -> CloudflareDouble:
    """Cloudflare, whose token is stored."""
    boto3.client("secretsmanager").create_secret(
        Name="friends/cloudflare", SecretString=cloudflare.token
    )
    return cloudflare


@pytest.mark.case("W2")
@pytest.mark.parametrize(
    "domain",
    [
        {"zone_id": OTHER_ZONE},
        {"target": "my-tunnel.cfargotunnel.com"},
        {"target": "10.0.0.7"},
        {"target": "127.0.0.1"},
    ],
)
def test_nothing_is_deployed_with_such_a_domain(
    stored: CloudflareDouble, domain: dict[str, Any]
) -> None:
    with pytest.raises(DeployError, match="Nothing was deployed: correct the domains first"):
        require_domains(settings_with(stored, **domain))


@pytest.mark.case("W2")
def test_a_domain_in_its_zone_is_deployed(
    stored: CloudflareDouble, capsys: pytest.CaptureFixture[str]
) -> None:
    require_domains(settings_with(stored, target=TUNNEL))
    assert capsys.readouterr().err == ""
    stored.fail_next(status=403)
    require_domains(settings_with(stored))
    assert capsys.readouterr().err.startswith("skip  domain friends.example: its zone's name")
