"""AWS in a process of its own, so that neither its time nor its memory is counted as ours."""

import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Final

from botocore.config import Config

from chalicelib.gateways import aws
from infra.controlplane.components import LOOPBACK, choose_port
from infra.local.services import PLACEHOLDERS, answers
from infra.local.state import clean_environment

_READY_SECONDS: Final = 60.0
_POLL_SECONDS: Final = 0.1
_PATIENCE_SECONDS: Final = 60


@contextmanager
def run_aws() -> Iterator[Mapping[str, str]]:
    """Run MiniStack, empty, until the block ends; give what a client needs in its environment."""
    with ExitStack() as held:
        port = choose_port(held)
    with tempfile.TemporaryDirectory() as folder:
        environment = {
            **clean_environment(),
            **PLACEHOLDERS,
            "BIND_HOST": LOOPBACK,
            "GATEWAY_PORT": str(port),
            "TMPDIR": folder,
            # Its MQTT listener would be bound to every address of this machine.
            "IOT_MTLS_ENABLED": "0",
        }
        with subprocess.Popen(  # noqa: S603 - our own interpreter and a module of the lock's
            [sys.executable, "-m", "ministack"],
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        ) as process:
            try:
                _wait_until_ready(port)
                yield {**PLACEHOLDERS, "AWS_ENDPOINT_URL": f"http://{LOOPBACK}:{port}"}
            finally:
                process.terminate()


def be_patient() -> None:
    """Wait longer for AWS than the product does: MiniStack reads all rows for each page of some."""
    aws.CLIENT_CONFIG = aws.CLIENT_CONFIG.merge(Config(read_timeout=_PATIENCE_SECONDS))  # type: ignore[misc]  # final for the product


def _wait_until_ready(port: int) -> None:
    deadline = time.monotonic() + _READY_SECONDS
    while not answers(port):
        if time.monotonic() > deadline:
            msg = "MiniStack does not answer."
            raise TimeoutError(msg)
        time.sleep(_POLL_SECONDS)
