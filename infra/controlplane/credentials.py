"""The control plane's certificates, keys and tokens, made anew for each run.

Every component comes in by a token of its own, under the name that it has in a real cluster, so
that admission sees there who it sees here. All of them are in `system:masters`: what RBAC allows to
the controllers is not what these tests are about.
"""

from __future__ import annotations

import base64
import datetime as dt
import ipaddress
import secrets
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

USERS: Final = MappingProxyType(
    {
        "admin": "admin",
        "kube-controller-manager": "system:kube-controller-manager",
        "kube-scheduler": "system:kube-scheduler",
        "kwok": "system:kwok",
    }
)

LIFETIME: Final = dt.timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Credentials:
    """The files in one directory that hold the credentials of one run."""

    directory: Path

    @property
    def authority(self) -> Path:
        """The certificate that signed the API server's."""
        return self.directory / "ca.crt"

    @property
    def certificate(self) -> Path:
        """The API server's certificate."""
        return self.directory / "server.crt"

    @property
    def key(self) -> Path:
        """The API server's key."""
        return self.directory / "server.key"

    @property
    def service_account_key(self) -> Path:
        """The private key that signs service account tokens."""
        return self.directory / "service-account.key"

    @property
    def tokens(self) -> Path:
        """The API server's static token file."""
        return self.directory / "tokens.csv"

    def kubeconfig(self, component: str) -> Path:
        """The kubeconfig of one of USERS."""
        return self.directory / f"{component}.kubeconfig"


def write_credentials(directory: Path, url: str) -> tuple[Credentials, str]:
    """Write the credentials for an API server at `url`; return them, and the admin's token."""
    credentials = Credentials(directory)
    write_certificates(credentials)
    write_key(credentials.service_account_key, ec.generate_private_key(ec.SECP256R1()))
    tokens = {component: secrets.token_urlsafe(32) for component in USERS}
    write_private(credentials.tokens, build_token_file(tokens))
    for component, token in tokens.items():
        kubeconfig = build_kubeconfig(url, credentials.authority.read_bytes(), component, token)
        write_private(
            credentials.kubeconfig(component), yaml.safe_dump(kubeconfig, sort_keys=False)
        )
    return credentials, tokens["admin"]


def write_certificates(credentials: Credentials) -> None:
    """Write a fresh authority's certificate, and one for loopback that it signed."""
    authority_key = ec.generate_private_key(ec.SECP256R1())
    server_key = ec.generate_private_key(ec.SECP256R1())
    authority_name = build_name("friends-api control plane")
    alternatives = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    authority = (
        build_certificate(authority_name, authority_name, authority_key)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(authority_key, hashes.SHA256())
    )
    server = (
        build_certificate(build_name("kube-apiserver"), authority_name, server_key)
        .add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        .sign(authority_key, hashes.SHA256())
    )
    write_private(
        credentials.authority, authority.public_bytes(serialization.Encoding.PEM).decode()
    )
    write_private(credentials.certificate, server.public_bytes(serialization.Encoding.PEM).decode())
    write_key(credentials.key, server_key)


def build_name(common_name: str) -> x509.Name:
    """Return a name of one part."""
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def build_certificate(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey
) -> x509.CertificateBuilder:
    """Return an unsigned certificate, valid from a minute ago for a week."""
    start = dt.datetime.now(dt.UTC) - dt.timedelta(minutes=1)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + LIFETIME)
    )


def build_token_file(tokens: Mapping[str, str]) -> str:
    """Return the static token file: token, user, uid, groups."""
    return "".join(
        f'{token},{USERS[component]},{component},"system:masters"\n'
        for component, token in tokens.items()
    )


def build_kubeconfig(url: str, authority: bytes, user: str, token: str) -> dict[str, Any]:
    """Return a kubeconfig that holds all it needs, with a token and no file names."""
    cluster = {"server": url, "certificate-authority-data": base64.b64encode(authority).decode()}
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "controlplane",
        "clusters": [{"name": "controlplane", "cluster": cluster}],
        "users": [{"name": user, "user": {"token": token}}],
        "contexts": [
            {"name": "controlplane", "context": {"cluster": "controlplane", "user": user}}
        ],
    }


def write_key(path: Path, key: ec.EllipticCurvePrivateKey) -> None:
    """Write a private key without a passphrase, as the components want it."""
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    )
    write_private(path, pem.decode())


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner reads."""
    path.touch(mode=0o600)
    path.write_text(text)
