"""A throw-away certificate authority: clients of a double verify TLS as they do elsewhere."""

import datetime as dt
import ipaddress
import ssl
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

# Without key identifiers, as EKS's authorities are: what a strict verifier refuses shows here.
LOOPBACK_NAMES: Final = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True)
class Validity:
    """From when to when a certificate is valid, in days from now."""

    from_day: float = -1 / 24
    to_day: float = 30


def build_server_tls(
    names: Sequence[str] = LOOPBACK_NAMES,
    validity: Validity = Validity(),  # noqa: B008 - frozen
    *,
    is_self_signed: bool = False,
    authority_extensions: Sequence[tuple[x509.ExtensionType, bool]] | None = None,
) -> tuple[ssl.SSLContext, str]:
    """Return a server's context and the PEM of the authority to trust.

    names are the host names and addresses that its certificate is for. A self-signed certificate
    is its own authority. Both keys live in memory; the server's is on disk only while OpenSSL reads
    it.
    """
    authority_key, server_key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    name, extensions = _name("localhost"), _server_extensions(names)
    if is_self_signed:
        server = ca = _sign(name, name, server_key, server_key, extensions, validity)
    else:
        authority = _name("friends-api local authority")
        if authority_extensions is None:
            authority_extensions = build_authority_extensions()
        ca = _sign(
            authority, authority, authority_key, authority_key, authority_extensions, Validity()
        )
        server = _sign(name, authority, server_key, authority_key, extensions, validity)
    key_pem = server_key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.TemporaryDirectory() as folder:
        chain = Path(folder, "server.pem")
        chain.touch(mode=0o600)
        chain.write_bytes(server.public_bytes(serialization.Encoding.PEM) + key_pem)
        context.load_cert_chain(chain)
    return context, ca.public_bytes(serialization.Encoding.PEM).decode()


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def build_authority_extensions() -> list[tuple[x509.ExtensionType, bool]]:
    """Return what an authority's certificate says of itself, each with whether it is critical."""
    usage = x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=True,
        crl_sign=True,
        encipher_only=False,
        decipher_only=False,
    )
    return [(x509.BasicConstraints(ca=True, path_length=0), True), (usage, True)]


def _server_extensions(names: Sequence[str]) -> list[tuple[x509.ExtensionType, bool]]:
    usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])
    return [
        (x509.BasicConstraints(ca=False, path_length=None), True),
        (x509.SubjectAlternativeName(map(_alternative, names)), False),
        (usage, False),
    ]


def _alternative(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _sign(  # noqa: PLR0913, PLR0917 - the parts of a certificate
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    issuer_key: ec.EllipticCurvePrivateKey,
    extensions: Sequence[tuple[x509.ExtensionType, bool]],
    validity: Validity,
) -> x509.Certificate:
    now = dt.datetime.now(dt.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + dt.timedelta(days=validity.from_day))
        .not_valid_after(now + dt.timedelta(days=validity.to_day))
    )
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical=critical)
    return builder.sign(issuer_key, hashes.SHA256())
