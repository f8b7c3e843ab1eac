"""Which certificates of a cluster are trusted, by real handshakes and on a strict Python, too."""

import base64
import json
import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import urllib3
from cryptography import x509

from chalicelib.domain import kinds
from chalicelib.domain.deadline import Deadline
from chalicelib.domain.errors import UpstreamFailed
from chalicelib.gateways.cluster import KubernetesClusters
from chalicelib.gateways.kubeconfig import ClusterAccess
from chalicelib.gateways.seam import Seam
from chalicelib.gateways.tls import build_pool
from infra.local.certificates import Validity, build_authority_extensions, build_server_tls
from infra.local.wire import Answer, Wire, serve_on_loopback
from infra.packaging.platforms import find_interpreter
from infra.paths import ROOT
from tests.factories import KUBECONFIG_SECRETS, create_kubeconfig

Serve = Callable[..., ClusterAccess]

CONSTRAINTS, USAGE = build_authority_extensions()
NOT_CRITICAL = [(CONSTRAINTS[0], False), USAGE]
ENDED = {"validity": Validity(-9, -1)}
NOT_BEGUN = {"validity": Validity(1, 9)}
OTHERS = {"names": ["kube.example.com"]}
OTHER_AUTHORITY = KUBECONFIG_SECRETS["authority"]

# What a strict verifier refuses, and kubectl does not.
TRUSTED = [
    pytest.param({}, id="without key identifiers, as EKS's"),
    pytest.param({"authority_extensions": [CONSTRAINTS]}, id="without a key usage"),
    pytest.param({"authority_extensions": NOT_CRITICAL}, id="with constraints not critical"),
    pytest.param({"is_self_signed": True}, id="the server's own"),
]
UNTRUSTED = [
    pytest.param(OTHERS, None, id="another host name"),
    pytest.param({}, OTHER_AUTHORITY, id="another authority"),
    pytest.param(ENDED, None, id="expired"),
    pytest.param(NOT_BEGUN, None, id="not yet valid"),
]

# Reads what to connect to; prints the status, or what kept it from connecting.
CONNECT = """
import json, sys
from chalicelib.gateways.kubeconfig import ClusterAccess
from chalicelib.gateways.tls import build_pool, explain_certificate
server, ca_pem = json.load(sys.stdin)
try:
    access = ClusterAccess(server, ca_pem, token="x")
    print(build_pool(access, allow_loopback=True).request("GET", f"{server}/readyz").status)
except Exception as error:
    print(explain_certificate(error) or repr(error))
"""


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Serve HTTPS with a certificate; return how to reach it, with the authority to trust."""
    with ExitStack() as stack:

        def start(**certificate: Any) -> ClusterAccess:
            context, ca_pem = build_server_tls(**certificate)
            serving = serve_on_loopback(Wire(), lambda _: Answer(200, {}), tls=context)
            return ClusterAccess(stack.enter_context(serving), ca_pem, token="x")

        yield start


@pytest.fixture(scope="module")
def connect() -> Callable[[str, str | None], str]:
    """Connect by the product's own code on a Python whose default is to verify strictly."""
    python = find_interpreter("3.14") or find_interpreter("3.13")
    if python is None:
        pytest.skip("there is no Python 3.13 or 3.14 here; the flags are asserted elsewhere")
    libraries = Path(urllib3.__file__).parent.parent
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{libraries}"}

    def run(server: str, ca_pem: str | None) -> str:
        done = subprocess.run(  # noqa: S603 - an interpreter, and our own script
            [python, "-c", CONNECT],
            input=json.dumps([server, ca_pem]),
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout.strip()

    return run


@pytest.mark.case("W1")
@pytest.mark.parametrize("certificate", TRUSTED)
def test_an_authority_that_kubectl_trusts_is_trusted_by_a_strict_python(
    serve: Serve, connect: Callable[[str, str | None], str], certificate: dict[str, Any]
) -> None:
    access = serve(**certificate)
    assert connect(access.server, access.ca_pem) == "200"


@pytest.mark.case("W1")
@pytest.mark.parametrize(("certificate", "ca_pem"), UNTRUSTED)
def test_a_certificate_that_does_not_fit_is_refused_by_a_strict_python(
    serve: Serve,
    connect: Callable[[str, str | None], str],
    certificate: dict[str, Any],
    ca_pem: str | None,
) -> None:
    access = serve(**certificate)
    assert connect(access.server, ca_pem or access.ca_pem).startswith("The cluster's certificate")


@pytest.mark.case("W1")
@pytest.mark.parametrize("certificate", TRUSTED)
def test_an_authority_that_kubectl_trusts_is_trusted(
    serve: Serve, certificate: dict[str, Any]
) -> None:
    access = serve(**certificate)
    pool = build_pool(access, allow_loopback=True)
    assert pool.request("GET", f"{access.server}/readyz").status == 200


@pytest.mark.case("W1")
@pytest.mark.parametrize("ca_pem", [OTHER_AUTHORITY, None], ids=["an authority", "the system's"])
def test_certificates_are_verified_by_the_same_rules_on_every_python(ca_pem: str | None) -> None:
    access = ClusterAccess("https://203.0.113.7", ca_pem, token="x")
    context = build_pool(access, allow_loopback=False).connection_pool_kw["ssl_context"]
    flags = {"VERIFY_X509_TRUSTED_FIRST", "VERIFY_X509_PARTIAL_CHAIN"}
    assert {each.name for each in context.verify_flags} == flags
    assert (context.verify_mode.name, context.check_hostname) == ("CERT_REQUIRED", True)


def test_the_authority_that_is_served_has_no_key_identifiers() -> None:
    _, ca_pem = build_server_tls()
    extensions = x509.load_pem_x509_certificate(ca_pem.encode()).extensions
    with pytest.raises(x509.ExtensionNotFound):
        extensions.get_extension_for_class(x509.SubjectKeyIdentifier)


def ask(access: ClusterAccess, ca_pem: str | None, seam: Seam) -> UpstreamFailed:
    data = base64.b64encode((ca_pem or "").encode()).decode()
    config = create_kubeconfig(
        server=access.server, cluster={"certificate-authority-data": data}, user={"token": "x"}
    )
    if ca_pem is None:
        del config["clusters"][0]["cluster"]["certificate-authority-data"]
    text = json.dumps(config)
    clusters = KubernetesClusters(lambda _: text, allow_loopback=True, seam=seam)
    with pytest.raises(UpstreamFailed) as failure:
        list(clusters.open("main", Deadline.after(9)).list_pages(kinds.NAMESPACE))
    return failure.value


@pytest.mark.case("W5")
@pytest.mark.parametrize(
    ("certificate", "host", "ca_pem", "fault"),
    [
        (OTHERS, "127.0.0.1", "its own", "does not name the server's address"),
        ({"names": ["127.0.0.1"]}, "localhost", "its own", "does not name the server's address"),
        (
            {},
            "127.0.0.1",
            OTHER_AUTHORITY,
            "is signed by an authority that is not in the kubeconfig",
        ),
        ({}, "127.0.0.1", None, "is signed by an authority that is not in the kubeconfig"),
        ({"is_self_signed": True}, "127.0.0.1", OTHER_AUTHORITY, "is self-signed"),
        (ENDED, "127.0.0.1", "its own", "has expired"),
        (NOT_BEGUN, "127.0.0.1", "its own", "is not valid yet"),
    ],
    ids=["address", "name", "authority", "no authority", "self-signed", "expired", "too early"],
)
def test_a_certificate_that_does_not_fit_is_named_and_not_tried_again(
    serve: Serve, certificate: dict[str, Any], host: str, ca_pem: str | None, fault: str
) -> None:
    served, seam = serve(**certificate), Seam()
    access = ClusterAccess(served.server.replace("127.0.0.1", host), None)
    failure = ask(access, served.ca_pem if ca_pem == "its own" else ca_pem, seam)
    assert failure.code == "cluster_misconfigured"
    assert failure.message.startswith(f"The cluster's certificate {fault}")
    assert host not in failure.message
    assert seam.calls["cluster"] == 1


@pytest.mark.case("W6")
def test_without_an_authority_the_systems_vouch_for_the_server(
    serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    served = serve()
    (tmp_path / "roots.pem").write_text(served.ca_pem or "")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "roots.pem"))
    pool = build_pool(ClusterAccess(served.server, None, token="x"), allow_loopback=True)
    assert pool.request("GET", f"{served.server}/readyz").status == 200
