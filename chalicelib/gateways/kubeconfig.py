"""Kubeconfigs, read by our own allowlist.

A kubeconfig can run programs, read files and send what it reads elsewhere. Only what names one
API server and one inline credential is understood here; anything else is refused, unread.
"""

import base64
import binascii
import ipaddress
import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from ssl import PROTOCOL_TLS_CLIENT, SSLContext
from typing import Any, Final
from urllib.parse import urlsplit

import yaml

from chalicelib.domain.errors import UpstreamFailed

_LONGEST_BYTES: Final = 64 * 1024
_TOP_KEYS: Final = frozenset(
    {"apiVersion", "kind", "preferences", "clusters", "contexts", "users", "current-context"}
)
_CLUSTER_KEYS: Final = frozenset({"server", "certificate-authority-data"})
_CONTEXT_KEYS: Final = frozenset({"cluster", "user", "namespace"})
_TOKEN_KEYS: Final = frozenset({"token"})
_CERTIFICATE_KEYS: Final = frozenset({"client-certificate-data", "client-key-data"})

_TOKEN: Final = re.compile(r"[\x21-\x7e]{1,8192}")
_PATH: Final = re.compile(r"(?:/[A-Za-z0-9_-]+)*/?")
# The last label must hold a letter, or the resolver may take the whole for a number.
_HOST: Final = re.compile(r"(?:[a-z0-9](?:[a-z0-9-]*[a-z0-9])?\.)*[a-z](?:[a-z0-9-]*[a-z0-9])?")
_LONGEST_HOST: Final = 253
_JWT_PARTS: Final = 3
# EC2's metadata service over IPv6 lies in a private range: docs.aws.amazon.com, "Instance
# metadata".
_METADATA: Final = tuple(
    map(ipaddress.ip_network, ("fd00:ec2::/32", "fd20:ce::/32", "100.100.100.200", "0.0.0.0/8"))
)
_NAT64: Final = ipaddress.ip_network("64:ff9b::/32")

_FORBIDDEN_ADDRESS: Final = "is at a loopback, link-local or metadata address"

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address


@dataclass(frozen=True, repr=False)
class ClusterAccess:
    """One API server and one credential: a token, or a client certificate with its key.

    Without ca_pem, the system's authorities vouch for the server.
    """

    server: str
    ca_pem: str | None
    token: str | None = None
    client_certificate_pem: bytes | None = None
    client_key_pem: bytes | None = None

    @property
    def ends_at(self) -> datetime | None:
        """When the token ends, if it says so: service accounts' tokens do.

        The token is not verified, which is the API server's to do. Source: RFC 7519, 4.1.4 "exp".
        """
        parts = (self.token or "").split(".")
        if len(parts) != _JWT_PARTS:
            return None
        try:
            ends = json.loads(base64.urlsafe_b64decode(parts[1] + "=="))["exp"]
            return None if isinstance(ends, bool) else datetime.fromtimestamp(ends, UTC)
        except (ValueError, LookupError, TypeError, OverflowError, OSError, RecursionError):
            return None


class _Refused(Exception):
    """What is wrong with a kubeconfig, without a word of it."""


def parse_kubeconfig(text: str, *, allow_loopback: bool) -> ClusterAccess:
    """Return what the kubeconfig gives access to.

    allow_loopback is for local runs alone. Raises UpstreamFailed (code cluster_misconfigured);
    the message names the rule that was broken and quotes nothing.
    """
    try:
        return _read(_load(text), allow_loopback=allow_loopback)
    except _Refused as refusal:
        msg = f"The cluster's kubeconfig is refused: {refusal}. An admin has to store another."
        raise UpstreamFailed(msg, code="cluster_misconfigured") from None


def is_forbidden(address: IPAddress, *, allow_loopback: bool) -> bool:
    """Tell whether an API server must not be at this address: ours, the cloud's, or nobody's."""
    mapped = _embedded_v4(address)
    if mapped is not None:
        return is_forbidden(mapped, allow_loopback=allow_loopback)
    return (
        (address.is_loopback and not allow_loopback)
        or address.is_link_local
        or address.is_multicast
        or address.is_reserved
        or any(address in network for network in _METADATA if network.version == address.version)
    )


def _embedded_v4(address: IPAddress) -> ipaddress.IPv4Address | None:
    """Return the IPv4 address that an IPv6 one stands for: mapped, 6to4 or NAT64."""
    if isinstance(address, ipaddress.IPv4Address):
        return None
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour


class _StrictLoader(yaml.SafeLoader):
    """YAML without what lets a small text be large, or say one thing twice."""

    def compose_node(self, parent: Any, index: Any) -> Any:  # noqa: ANN401 - PyYAML's own signature
        event = self.peek_event()  # type: ignore[no-untyped-call]  # the stubs leave it untyped
        # An alias has the name of its anchor.
        if getattr(event, "anchor", None):
            msg = "it uses YAML anchors"
            raise _Refused(msg)
        return super().compose_node(parent, index)

    def construct_mapping(self, node: Any, deep: bool = False) -> Any:  # noqa: ANN401, FBT001, FBT002 - PyYAML's own signature
        keys = [key.value for key, _ in node.value]
        if len({str(key) for key in keys}) != len(keys):
            msg = "it names a key twice"
            raise _Refused(msg)
        return super().construct_mapping(node, deep=deep)


def _load(text: str) -> dict[str, Any]:
    if len(text.encode(errors="replace")) > _LONGEST_BYTES:
        msg = "it is larger than 64 KiB"
        raise _Refused(msg)
    try:
        # A SafeLoader in all but name: it makes plain values only.
        loaded = yaml.load(text, Loader=_StrictLoader)  # noqa: S506 - the loader subclasses SafeLoader
    except (yaml.YAMLError, RecursionError, ValueError, LookupError, AttributeError, TypeError):
        # The parser's own message prints the offending line, token and all.
        msg = "it is not YAML"
        raise _Refused(msg) from None
    return _mapping(loaded, "it", _TOP_KEYS)


def _read(config: dict[str, Any], *, allow_loopback: bool) -> ClusterAccess:
    context_name, context = _only(config, "contexts", "context", _CONTEXT_KEYS)
    cluster_name, cluster = _only(config, "clusters", "cluster", _CLUSTER_KEYS)
    user_name, user = _only(config, "users", "user", _TOKEN_KEYS | _CERTIFICATE_KEYS)
    names = (config.get("current-context"), context.get("cluster"), context.get("user"))
    if names != (context_name, cluster_name, user_name):
        msg = "its current context, cluster and user do not name each other"
        raise _Refused(msg)
    server = _server(cluster.get("server"), allow_loopback=allow_loopback)
    ca_pem = _authority(cluster)
    if user.keys() == _TOKEN_KEYS:
        token = user["token"]
        if not isinstance(token, str) or not _TOKEN.fullmatch(token):
            msg = "its token is not plain ASCII text"
            raise _Refused(msg)
        return ClusterAccess(server, ca_pem, token=token)
    if user.keys() == _CERTIFICATE_KEYS:
        certificate, key = (
            _decode(user, "client-certificate-data"),
            _decode(user, "client-key-data"),
        )
        return ClusterAccess(server, ca_pem, client_certificate_pem=certificate, client_key_pem=key)
    msg = "its user needs a token, or a client certificate with its key, and nothing else"
    raise _Refused(msg)


def _only(
    config: dict[str, Any], plural: str, singular: str, known: frozenset[str]
) -> tuple[str, dict[str, Any]]:
    entries = config.get(plural)
    if not isinstance(entries, list) or len(entries) != 1:
        msg = f"it must hold exactly one entry in {plural}"
        raise _Refused(msg)
    entry = _mapping(entries[0], plural, frozenset({"name", singular}))
    if not isinstance(entry.get("name"), str):
        msg = f"its {singular} has no name"
        raise _Refused(msg)
    return entry["name"], _mapping(entry.get(singular), singular, known)


def _mapping(value: object, what: str, known: frozenset[str]) -> dict[str, Any]:
    if not isinstance(value, dict):
        msg = f"{what} is not a mapping"
        raise _Refused(msg)
    if not known.issuperset(value):
        msg = f"{what} holds something other than {', '.join(sorted(known))}"
        raise _Refused(msg)
    return value


def _authority(cluster: dict[str, Any]) -> str | None:
    """Return the authority's certificates, which OpenSSL has read; None where there are none."""
    key = "certificate-authority-data"
    if key not in cluster:
        return None
    # What stands around the certificates in PEM is no part of them.
    pem = _decode(cluster, key).decode("ascii", "ignore")
    if fault := _authority_fault(pem):
        msg = f"{key} {fault}"
        raise _Refused(msg)
    return pem


def _authority_fault(pem: str) -> str | None:
    if not pem.strip():
        return "is empty: give the authority's certificate, or leave it out for a public one"
    if "PRIVATE KEY-----" in pem:
        return "holds a private key: give the authority's certificate, and nothing else"
    try:
        SSLContext(PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=pem)
    except (OSError, ValueError):
        if _is_encoded_pem(pem):
            return "is encoded twice: encode the PEM file in base64 once"
        return "is not a certificate in PEM, encoded in base64 once"
    return None


def _is_encoded_pem(text: str) -> bool:
    try:
        return b"-----BEGIN " in base64.b64decode("".join(text.split()), validate=True)
    except ValueError:
        return False


def _decode(holder: dict[str, Any], key: str) -> bytes:
    try:
        # A YAML block scalar, and most tools' output, is broken into lines.
        return base64.b64decode("".join(holder[key].split()), validate=True)
    except (AttributeError, KeyError, TypeError, binascii.Error, ValueError):
        msg = f"{key} is missing or is not base64"
        raise _Refused(msg) from None


def _server(server: object, *, allow_loopback: bool) -> str:
    if not isinstance(server, str) or not _is_plain_https(server):
        msg = "its server is not a plain https URL"
        raise _Refused(msg)
    if fault := _host_fault(urlsplit(server).hostname or "", allow_loopback=allow_loopback):
        msg = f"its server {fault}"
        raise _Refused(msg)
    return server.rstrip("/")


def _is_plain_https(url: str) -> bool:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return False
    if parts.scheme != "https" or port == 0 or not _PATH.fullmatch(parts.path):
        return False
    return url.isascii() and not any(char in url for char in "@?#\\ \t\r\n%")


def _host_fault(host: str, *, allow_loopback: bool) -> str | None:
    """Return why no API server may be at this host, or None."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return _name_fault(host, allow_loopback=allow_loopback)
    if is_forbidden(address, allow_loopback=allow_loopback):
        return _FORBIDDEN_ADDRESS
    return None


def _name_fault(name: str, *, allow_loopback: bool) -> str | None:
    if name.endswith("."):
        return "has a host name that ends in a dot: leave that dot out"
    if name == "localhost" or name.endswith(".localhost"):
        return None if allow_loopback else _FORBIDDEN_ADDRESS
    if len(name) > _LONGEST_HOST:
        return f"has neither an address nor a host name of at most {_LONGEST_HOST} characters"
    if not _HOST.fullmatch(name):
        return (
            "has neither an address in its usual spelling nor a host name: letters, digits, dashes "
            "and dots, and a last label that starts with a letter"
        )
    return None
