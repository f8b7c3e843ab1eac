"""The connections to a cluster. Threats J04 and J07, and what a redirect or a proxy could do."""

import base64
import gzip
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import urllib3
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from chalicelib.domain.errors import UpstreamFailed
from chalicelib.gateways.kubeconfig import ClusterAccess
from chalicelib.gateways.tls import build_pool
from infra.local.cluster import ClusterDouble

GZIP = {"Content-Encoding": "gzip"}


@pytest.fixture
def access(kube: ClusterDouble) -> ClusterAccess:
    """Access to the double."""
    config = yaml.safe_load(kube.kubeconfig())
    authority = config["clusters"][0]["cluster"]["certificate-authority-data"]
    return ClusterAccess(kube.url, base64.b64decode(authority).decode(), token=kube.token)


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where temporary files go."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    yield tmp_path
    monkeypatch.undo()


def build_client_certificate() -> tuple[bytes, bytes]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "friend-api")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now)
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    key_pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return certificate.public_bytes(serialization.Encoding.PEM), key_pem


def test_the_clusters_own_authority_is_trusted(access: ClusterAccess) -> None:
    answer = build_pool(access, allow_loopback=True).request("GET", f"{access.server}/readyz")
    assert answer.status in {200, 401}


def test_another_authority_is_not(access: ClusterAccess) -> None:
    certificate, _ = build_client_certificate()
    other = ClusterAccess(access.server, certificate.decode(), token="x")
    with pytest.raises(urllib3.exceptions.SSLError):
        build_pool(other, allow_loopback=True).request("GET", f"{access.server}/readyz")


def test_j04_a_name_that_leads_to_a_forbidden_address_is_not_spoken_to(
    access: ClusterAccess, kube: ClusterDouble
) -> None:
    pool = build_pool(access, allow_loopback=False)
    kube.requests.clear()
    with pytest.raises(urllib3.exceptions.NewConnectionError):
        pool.request("GET", access.server.replace("127.0.0.1", "localhost"))
    assert kube.requests == []


def test_plain_http_has_no_connection_at_all(access: ClusterAccess) -> None:
    pool = build_pool(access, allow_loopback=True)
    with pytest.raises(KeyError, match="http"):
        pool.request("GET", "http://127.0.0.1:1/")


def test_j04_a_redirect_is_an_answer_and_is_not_followed(
    access: ClusterAccess, kube: ClusterDouble
) -> None:
    kube.requests.clear()
    kube.fail_next(status=302, headers={"Location": f"{access.server}/elsewhere"})
    answer = build_pool(access, allow_loopback=True).request("GET", f"{access.server}/readyz")
    assert answer.status == 302
    assert [request.path for request in kube.requests] == ["/readyz"]


def test_a_proxy_in_the_environment_is_not_used(
    access: ClusterAccess, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    answer = build_pool(access, allow_loopback=True).request("GET", f"{access.server}/readyz")
    assert answer.status in {200, 401}


def test_j07_a_client_key_leaves_no_file(access: ClusterAccess, temporary: Path) -> None:
    certificate, key = build_client_certificate()
    with_key = ClusterAccess(
        access.server,
        access.ca_pem,
        client_certificate_pem=certificate,
        client_key_pem=key,
    )
    pool = build_pool(with_key, allow_loopback=True)
    assert list(temporary.iterdir()) == []
    assert pool.request("GET", f"{access.server}/readyz").status in {200, 401}
    assert list(temporary.iterdir()) == []


def test_j07_a_key_that_cannot_be_read_leaves_no_file_either(
    access: ClusterAccess, temporary: Path
) -> None:
    broken = ClusterAccess(
        access.server, access.ca_pem, client_certificate_pem=b"x", client_key_pem=b"y"
    )
    with pytest.raises(UpstreamFailed) as refusal:
        build_pool(broken, allow_loopback=True)
    assert refusal.value.code == "cluster_misconfigured"
    assert list(temporary.iterdir()) == []


def test_an_encrypted_key_is_refused_and_asks_nobody(access: ClusterAccess) -> None:
    certificate, _ = build_client_certificate()
    encrypted = ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"passphrase"),
    )
    locked = ClusterAccess(
        access.server,
        access.ca_pem,
        client_certificate_pem=certificate,
        client_key_pem=encrypted,
    )
    with pytest.raises(UpstreamFailed):
        build_pool(locked, allow_loopback=True)


def test_an_answer_without_end_is_given_up(access: ClusterAccess, kube: ClusterDouble) -> None:
    kube.fail_next(status=200, body=b"x" * (17 * 1024 * 1024))
    pool = build_pool(access, allow_loopback=True)
    answer = pool.request("GET", f"{access.server}/readyz", preload_content=False)
    with pytest.raises(urllib3.exceptions.ProtocolError, match="too long or too slow"):
        _ = answer.data
    assert pool.request("GET", f"{access.server}/readyz").status == 200


def test_an_answer_that_takes_too_long_is_given_up(
    access: ClusterAccess, kube: ClusterDouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    kube.fail_next(status=200, body=b"x" * 300_000)
    pool = build_pool(access, allow_loopback=True)
    answer = pool.request("GET", f"{access.server}/readyz", preload_content=False)
    monkeypatch.setattr("chalicelib.gateways.tls._MOST_SECONDS", 0.0)
    with pytest.raises(urllib3.exceptions.ProtocolError, match="too long or too slow"):
        _ = answer.data


def test_a_body_is_read_whole(access: ClusterAccess, kube: ClusterDouble) -> None:
    kube.fail_next(status=200, body=b"x" * 300_000)
    pool = build_pool(access, allow_loopback=True)
    answer = pool.request("GET", f"{access.server}/readyz", preload_content=False)
    assert (len(answer.data), len(answer.data)) == (300_000, 300_000)


def test_a_compressed_body_comes_as_it_was_meant(
    access: ClusterAccess, kube: ClusterDouble
) -> None:
    kube.fail_next(status=200, headers=GZIP, body=gzip.compress(b"x" * 300_000))
    pool = build_pool(access, allow_loopback=True)
    answer = pool.request("GET", f"{access.server}/readyz", preload_content=False)
    assert answer.data == b"x" * 300_000


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (gzip.compress(b"x" * (17 * 1024 * 1024)), "too long or cut off"),
        (gzip.compress(b"x" * 300_000)[:-20], "too long or cut off"),
        (b"no gzip at all", "not compressed as it says"),
    ],
    ids=["without end", "cut off", "something else"],
)
def test_a_body_that_does_not_unpack_as_it_should_is_given_up(
    access: ClusterAccess, kube: ClusterDouble, body: bytes, why: str
) -> None:
    kube.fail_next(status=200, headers=GZIP, body=body)
    pool = build_pool(access, allow_loopback=True)
    answer = pool.request("GET", f"{access.server}/readyz", preload_content=False)
    with pytest.raises(urllib3.exceptions.ProtocolError, match=why):
        _ = answer.data
