"""The HTTPS connections to a cluster: its own CA, no proxy, no redirect, no forbidden address."""

import ipaddress
import tempfile
import time
import zlib
from pathlib import Path
from ssl import (
    CERT_REQUIRED,
    VERIFY_X509_PARTIAL_CHAIN,
    VERIFY_X509_TRUSTED_FIRST,
    SSLCertVerificationError,
    SSLContext,
    SSLError,
)
from typing import Final

from urllib3 import HTTPSConnectionPool, PoolManager
from urllib3.connection import HTTPSConnection
from urllib3.exceptions import NewConnectionError, ProtocolError
from urllib3.response import HTTPResponse
from urllib3.util.ssl_ import create_urllib3_context

from chalicelib.domain.errors import UpstreamFailed
from chalicelib.gateways.kubeconfig import ClusterAccess, is_forbidden

CONNECTIONS: Final = 16
_PIECE_BYTES: Final = 64 * 1024
_MOST_BYTES: Final = 16 * 1024 * 1024
_MOST_SECONDS: Final = 10.0
# What zlib calls the format with gzip's header.
_GZIP: Final = 16 + zlib.MAX_WBITS
# The same on every Python, and as kubectl verifies: whatever the kubeconfig names is trusted, be it
# the root or not. Without VERIFY_X509_STRICT, which Python sets from 3.13 on: it refuses
# authorities without key identifiers, such as EKS makes. The chain, its dates and the host name are
# verified all the same.
_VERIFY_FLAGS: Final = VERIFY_X509_TRUSTED_FIRST | VERIFY_X509_PARTIAL_CHAIN
# OpenSSL's codes. Source: openssl-verification-options(1), x509_vfy.h.
_OTHER_NAME: Final = (
    "does not name the server's address. Ask an admin to add that address to the certificate (k3s: "
    "--tls-san), or to store a kubeconfig with an address that the certificate names."
)
_UNKNOWN_AUTHORITY: Final = (
    "is signed by an authority that is not in the kubeconfig. Ask an admin to store a kubeconfig "
    "with that authority's certificate."
)
_CERTIFICATE_FAULTS: Final = {
    9: "is not valid yet. Ask an admin to check its dates, and the clock of the server.",
    10: "has expired, or its authority's has. Ask an admin to renew the one that expired.",
    18: "is self-signed, and not in the kubeconfig. Ask an admin to store a kubeconfig with it.",
    19: _UNKNOWN_AUTHORITY,
    20: _UNKNOWN_AUTHORITY,
    21: _UNKNOWN_AUTHORITY,
    62: _OTHER_NAME,
    64: _OTHER_NAME,
}
_OTHER_CERTIFICATE_FAULT: Final = (
    "does not pass verification. Ask an admin to check it: openssl s_client shows why."
)


class BoundedResponse(HTTPResponse):
    """A response whose body ends, in size and in time, whatever the server sends.

    urllib3 bounds the wait for each piece, not their number.
    """

    def read(
        self,
        amt: int | None = None,
        decode_content: bool | None = None,  # noqa: FBT001 - urllib3's own signature
        cache_content: bool = False,  # noqa: FBT001, FBT002 - urllib3's own signature
    ) -> bytes:
        """Return the body, unpacked.

        Raises ProtocolError when it is too long, too slow, or does not unpack.
        """
        if amt is not None:
            return super().read(amt, decode_content, cache_content)
        started, pieces, size = time.monotonic(), [], 0
        while piece := super().read1(_PIECE_BYTES, decode_content=False):
            pieces.append(piece)
            size += len(piece)
            if size > _MOST_BYTES or time.monotonic() - started > _MOST_SECONDS:
                self.close()
                msg = "The answer is too long or too slow."
                raise ProtocolError(msg)
        body = b"".join(pieces)
        if self.headers.get("Content-Encoding") == "gzip":
            body = _unpack(body)
        if cache_content:
            self._body = body
        return body


def _unpack(packed: bytes) -> bytes:
    """Return what was compressed; a few bytes that unpack to very many are given up in time."""
    stream = zlib.decompressobj(_GZIP)
    try:
        body = stream.decompress(packed, _MOST_BYTES)
    except zlib.error as error:
        msg = "The answer is not compressed as it says."
        raise ProtocolError(msg) from error
    if not stream.eof:
        msg = "The answer is too long or cut off."
        raise ProtocolError(msg)
    return body


def build_pool(access: ClusterAccess, *, allow_loopback: bool) -> PoolManager:
    """Return a pool that reaches this cluster and nothing that its host name may turn into.

    The name was checked when the kubeconfig was read; what it resolves to is checked again on the
    very connection, because a resolver may answer differently the second time.
    Raises UpstreamFailed when the certificates cannot be used.
    """

    class GuardedConnection(HTTPSConnection):
        def _new_conn(self):  # type: ignore[no-untyped-def]  # noqa: ANN202 - urllib3 types it as its own private socket
            socket = super()._new_conn()
            peer = ipaddress.ip_address(socket.getpeername()[0].partition("%")[0])
            if is_forbidden(peer, allow_loopback=allow_loopback):
                socket.close()
                msg = "The cluster's name leads to an address where no API server may be."
                raise NewConnectionError(self, msg)
            return socket

        def getresponse(self) -> HTTPResponse:  # type: ignore[override]  # as urllib3 itself types it
            response = super().getresponse()
            # urllib3 2 names its response class in place; there is no other seam to bound it at.
            response.__class__ = BoundedResponse
            return response

    class GuardedPool(HTTPSConnectionPool):
        ConnectionCls = GuardedConnection

    pool = PoolManager(
        ssl_context=_build_context(access), retries=False, maxsize=CONNECTIONS, block=False
    )
    pool.pool_classes_by_scheme = {"https": GuardedPool}
    return pool


def _build_context(access: ClusterAccess) -> SSLContext:
    context = create_urllib3_context(cert_reqs=CERT_REQUIRED)
    context.verify_flags = _VERIFY_FLAGS
    context.check_hostname = True
    try:
        if access.ca_pem is None:
            context.load_default_certs()
        else:
            context.load_verify_locations(cadata=access.ca_pem)
        if access.client_certificate_pem is not None:
            _load_client_certificate(context, access)
    except (OSError, TypeError, ValueError):
        msg = (
            "The cluster's certificates cannot be read. Ask an admin to store its kubeconfig anew."
        )
        raise UpstreamFailed(msg, code="cluster_misconfigured") from None
    return context


def explain_certificate(error: BaseException) -> UpstreamFailed | None:
    """Return our error where a connection failed because of the server's certificate, or None.

    Trying again cannot help: what is wrong stands in the certificate, or in the kubeconfig.
    """
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, SSLCertVerificationError):
        cause = next((each for each in cause.args if isinstance(each, SSLError)), cause.__context__)
    if cause is None:
        return None
    fault = _CERTIFICATE_FAULTS.get(cause.verify_code, _OTHER_CERTIFICATE_FAULT)
    msg = f"The cluster's certificate {fault}"
    return UpstreamFailed(msg, code="cluster_misconfigured")


def _load_client_certificate(context: SSLContext, access: ClusterAccess) -> None:
    # OpenSSL reads a key from a file only; this one is gone before the first request leaves.
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "client.pem"
        path.touch(mode=0o600)
        certificate, key = access.client_certificate_pem or b"", access.client_key_pem or b""
        path.write_bytes(certificate + b"\n" + key)
        # A key that wants a passphrase must not ask whoever started the process for it.
        context.load_cert_chain(path, password=lambda: b"")
