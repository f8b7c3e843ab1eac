"""The outside systems of the local stack: MiniStack for AWS, and the doubles or the real things."""

from __future__ import annotations

import http.client
import os
import secrets
import socket
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from infra.local import processes
from infra.local.state import (
    KUBECONFIG,
    STATE,
    TEMPORARY,
    Stack,
    StackError,
    clean_environment,
    say,
)
from infra.local.wire import LOOPBACK
from infra.paths import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from infra.local.processes import Process

REGION: Final = "us-east-1"
# MiniStack takes any credentials; these keep a real profile out of the way.
PLACEHOLDERS: Final = {
    "AWS_ACCESS_KEY_ID": "local",
    "AWS_SECRET_ACCESS_KEY": "local",
    "AWS_DEFAULT_REGION": REGION,
}

_USUAL_PORT: Final = 4566
_DOUBLE_DOMAIN: Final = "friends.example"
_CLOUDFLARE_URL: Final = "https://api.cloudflare.com/client/v4"


def provide_cluster(stack: Stack) -> None:
    """Use the cluster that KUBECONFIG names, or start the double."""
    given = os.environ.get("KUBECONFIG", "")
    if given and Path(given) != KUBECONFIG:
        if not Path(given).is_file():
            raise StackError(f"KUBECONFIG={given} is not a file. Unset it to use the double.")
        say(f"Using the cluster of KUBECONFIG={given}.")
        stack.environment["KUBECONFIG"] = str(Path(given).resolve())
        return
    say("Starting the cluster's double.")
    token = secrets.token_urlsafe(24)
    _start_double(stack, "cluster", ["--kubeconfig-out", str(KUBECONFIG), "--token", token])
    stack.environment["KUBECONFIG"] = str(KUBECONFIG)


def provide_cloudflare(stack: Stack) -> None:
    """Use Cloudflare when CLOUDFLARE_TOKEN names an account, or start the double."""
    if _has_real_cloudflare():
        say("Using Cloudflare itself, with CLOUDFLARE_TOKEN.")
        stack.environment |= _real_cloudflare()
        return
    say("Starting Cloudflare's double.")
    zone_id, token = secrets.token_hex(16), secrets.token_urlsafe(30)
    arguments = ["--token", token, "--zone", f"{zone_id}={_DOUBLE_DOMAIN}"]
    ready = _start_double(stack, "cloudflare", arguments)
    stack.environment |= {
        "CLOUDFLARE_URL": ready["url"],
        "CLOUDFLARE_TOKEN": token,
        "ZONE_ID": zone_id,
        "DOMAIN": _DOUBLE_DOMAIN,
        "DNS_TARGET": f"ingress.{_DOUBLE_DOMAIN}",
    }


def provide_aws(stack: Stack) -> None:
    """Start MiniStack."""
    port = _choose_port(_USUAL_PORT)
    say(f"Starting MiniStack (AWS on this machine) on port {port}; each run starts empty.")
    log = STATE / "ministack.log"
    stack.environment |= start_ministack(port, TEMPORARY, log, remember=stack.add)


def start_ministack(
    port: int, temporary: Path, log: Path, *, remember: Callable[[Process], None]
) -> dict[str, str]:
    """Start a MiniStack of its own on a port and return the environment that reaches it.

    remember is told of the process at once, so that it can be ended whatever happens next.
    """
    environment = clean_environment() | PLACEHOLDERS
    environment |= {
        "BIND_HOST": LOOPBACK,
        "GATEWAY_PORT": str(port),
        "TMPDIR": str(temporary),
        # Its MQTT listener would be bound to every address of this machine.
        "IOT_MTLS_ENABLED": "0",
    }
    command = [sys.executable, "-m", "ministack"]
    process = processes.start("MiniStack", command, environment, log)
    remember(process)
    processes.wait_until(process, lambda: answers(port), timeout_seconds=30)
    return {**PLACEHOLDERS, "AWS_ENDPOINT_URL": f"http://{LOOPBACK}:{port}"}


@contextmanager
def run_ministack(directory: Path) -> Iterator[dict[str, str]]:
    """Run a MiniStack on a free port, apart from the local stack's; give what reaches it."""
    running: list[Process] = []
    try:
        port, log = _choose_port(), directory / "ministack.log"
        yield start_ministack(port, directory, log, remember=running.append)
    finally:
        processes.stop(running)


def _has_real_cloudflare() -> bool:
    """Tell whether the environment names the real thing, not a double of an earlier run."""
    host = urlsplit(os.environ.get("CLOUDFLARE_URL", "")).hostname
    return bool(os.environ.get("CLOUDFLARE_TOKEN")) and host != LOOPBACK


def _real_cloudflare() -> dict[str, str]:
    names = ("CLOUDFLARE_TOKEN", "ZONE_ID", "DOMAIN", "DNS_TARGET")
    missing = [name for name in names if not os.environ.get(name)]
    if missing:
        raise StackError(
            f"Set {' and '.join(missing)} beside CLOUDFLARE_TOKEN: they name the zone."
        )
    url = os.environ.get("CLOUDFLARE_URL") or _CLOUDFLARE_URL
    return {"CLOUDFLARE_URL": url, **{name: os.environ[name] for name in names}}


def _start_double(stack: Stack, name: str, arguments: Sequence[str]) -> dict[str, Any]:
    """Start a double on a free port and return what its ready line says."""
    command = [sys.executable, "-m", f"infra.local.{name}", "--port", "0", *arguments]
    environment = {**clean_environment(), "PYTHONPATH": str(ROOT)}
    log = STATE / f"{name}.log"
    process = processes.start(f"The {name} double", command, environment, log)
    stack.add(process)
    ready: dict[str, Any] = processes.wait_until(
        process, lambda: processes.read_ready_line(process), timeout_seconds=20
    )
    return ready


def _choose_port(*preferred: int) -> int:
    """Return the first port that is free of those preferred, and any free one otherwise."""
    for port in (*preferred, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((LOOPBACK, port))
            except OSError:
                continue
            chosen: int = probe.getsockname()[1]
            return chosen
    raise StackError(f"No port of {LOOPBACK} is free.")


def answers(port: int) -> bool:
    """Tell whether a MiniStack on this port is ready."""
    connection = http.client.HTTPConnection(LOOPBACK, port, timeout=2)
    try:
        connection.request("GET", "/_ministack/health")
        return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
