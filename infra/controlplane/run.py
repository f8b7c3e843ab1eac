"""Starting, waiting for and stopping a control plane: `with control_plane() as plane: ...`.

The order matters in two places. The custom resource is there before the controllers start, since
they look for what they watch only every half minute. And the controllers start once the API server
answers, since they give up when it does not.
"""

from __future__ import annotations

import datetime as dt
import json
import logging
import os
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import requests
import yaml

from infra.controlplane import components, supervisor
from infra.controlplane.build import Report, find_programs
from infra.controlplane.components import Layout
from infra.controlplane.credentials import write_credentials

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

LOGGER: Final = logging.getLogger(__name__)

READY_SECONDS: Final = 60.0
STOP_SECONDS: Final = 20.0
POLL_SECONDS: Final = 0.1
LOG_TAIL_LINES: Final = 10
POD_LOG_LINES: Final = 600

CUSTOM_RESOURCE: Final = Path(__file__).resolve().parent / "ingressroute-crd.yaml"


class StartError(RuntimeError):
    """The control plane did not come up; the message holds the end of a component's log."""


@dataclass(frozen=True, slots=True)
class ControlPlane:
    """A control plane that answers at `url` until it is stopped."""

    url: str
    admin_token: str = field(repr=False)
    kubeconfig: Path
    directory: Path
    programs: Mapping[str, Path] = field(repr=False)
    process: subprocess.Popen[str] = field(repr=False)

    def environment(self) -> dict[str, str]:
        """Return what a command needs in its environment to work on this control plane."""
        kubeconfig = str(self.kubeconfig)
        path = f"{self.programs['kubectl'].parent}{os.pathsep}{os.environ.get('PATH', '')}"
        return {"KUBECONFIG": kubeconfig, "CONTRACT_KUBECONFIG": kubeconfig, "PATH": path}

    def stop(self) -> None:
        """End every component and remove their directory. Safe to call twice."""
        end(self.process)

    def detach(self) -> None:
        """Let the control plane outlive this process, until `stop_detached` for its directory."""
        (self.directory / supervisor.KEEP).touch()
        order(self.process, {"detach": True})


@contextmanager
def control_plane(report: Report = LOGGER.info) -> Iterator[ControlPlane]:
    """Run a control plane for as long as the block lasts. Raises BuildError or StartError.

    A start that fails is tried once more: kwok's controllers may write one map at once while they
    start, which ends it.
    """
    try:
        plane = start(_make_directory(), report)
    except StartError as error:
        report(f"starting once more: {error}")
        plane = start(_make_directory(), report)
    try:
        yield plane
    finally:
        plane.stop()


def _make_directory() -> Path:
    return Path(tempfile.mkdtemp(prefix="friends-api-controlplane-"))


def start(directory: Path, report: Report) -> ControlPlane:
    """Start a control plane in an empty directory of its own and wait until it is ready.

    Whoever calls must stop or detach it. The directory goes with the control plane, also when it
    does not start.
    """
    try:
        programs = find_programs(os.environ, report)
    except BaseException:
        directory.rmdir()
        raise
    process = start_supervisor(directory)
    try:
        return start_components(programs, directory, process)
    except BaseException:
        end(process)
        raise


def start_supervisor(directory: Path) -> subprocess.Popen[str]:
    """Start the process that keeps the components; the directory is its to remove."""
    return subprocess.Popen(  # noqa: S603 - ours
        [sys.executable, str(Path(supervisor.__file__).resolve()), str(directory)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def start_components(
    programs: Mapping[str, Path], directory: Path, process: subprocess.Popen[str]
) -> ControlPlane:
    """Start every component in its turn and wait for each."""
    ports = components.choose_ports()
    credentials, admin_token = write_credentials(directory, components.build_url(ports))
    layout = Layout(directory, programs, credentials, ports)
    write_kwok_files(layout)
    wait = Waiter(process, directory)
    with requests.Session() as session:
        # A proxy or a bundle of authorities that the environment names is not for loopback.
        session.trust_env = False
        session.verify = str(credentials.authority)
        session.headers["Authorization"] = f"Bearer {admin_token}"
        start_component(process, "etcd", components.etcd(layout))
        start_component(process, "kube-apiserver", components.kube_apiserver(layout))
        wait.until("the API server to be ready", lambda: answers(session, f"{layout.url}/readyz"))
        create_custom_resource(session, layout, wait)
        create(session, f"{layout.url}/api/v1/nodes", components.build_node(ports))
        for name, argv in build_controllers(layout).items():
            start_component(process, name, argv)
        default_account = f"{layout.url}/api/v1/namespaces/default/serviceaccounts/default"
        wait.until("the controllers to work", lambda: answers(session, default_account))
        kubelet = f"http://{components.LOOPBACK}:{ports.kubelet}/healthz"
        wait.until("kwok to answer", lambda: answers(session, kubelet))
    return ControlPlane(
        layout.url, admin_token, credentials.kubeconfig("admin"), directory, programs, process
    )


def build_controllers(layout: Layout) -> dict[str, list[str]]:
    """Return the command lines of what works against the API server."""
    return {
        "kube-controller-manager": components.kube_controller_manager(layout),
        "kube-scheduler": components.kube_scheduler(layout),
        "kwok": components.kwok(layout),
    }


def write_kwok_files(layout: Layout) -> None:
    """Write the log that every container has, and the configuration that says so."""
    timestamp = dt.datetime.now(dt.UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    layout.pod_logs.write_text(components.build_pod_logs(timestamp, POD_LOG_LINES))
    layout.kwok_config.write_text(yaml.safe_dump(components.build_pod_logs_config(layout)))


def start_component(process: subprocess.Popen[str], name: str, argv: list[str]) -> None:
    """Have the supervisor run a component."""
    order(process, {"start": name, "argv": argv})


def order(process: subprocess.Popen[str], instruction: Mapping[str, object]) -> None:
    """Send the supervisor an order; one that has ended already is noticed by whoever waits next."""
    if process.stdin is None:
        raise StartError("the supervisor takes no orders")
    with suppress(BrokenPipeError):
        process.stdin.write(json.dumps(instruction) + "\n")
        process.stdin.flush()


def end(process: subprocess.Popen[str]) -> None:
    """Hang up on the supervisor and wait until it has ended everything."""
    with suppress(BrokenPipeError):
        process.communicate(timeout=STOP_SECONDS)


class Waiter:
    """One deadline for all that a start waits for."""

    def __init__(self, process: subprocess.Popen[str], directory: Path) -> None:
        """Start the clock."""
        self.process = process
        self.directory = directory
        self.deadline = time.monotonic() + READY_SECONDS

    def until(self, what: str, happened: Callable[[], bool]) -> None:
        """Wait for it. Raises StartError at the deadline, or when a component ends by itself."""
        while not happened():
            if self.process.poll() is not None:
                raise StartError(self.process.stdout.read() if self.process.stdout else what)
            if time.monotonic() > self.deadline:
                raise StartError(
                    f"waited {READY_SECONDS:.0f} s in vain for {what}\n{self.read_logs()}"
                )
            time.sleep(POLL_SECONDS)

    def read_logs(self) -> str:
        """Return the last lines of every component's log."""
        tails = {
            log.name: log.read_text(errors="replace").splitlines()[-LOG_TAIL_LINES:]
            for log in self.directory.glob("*.log")
        }
        return "\n".join(line for name, tail in tails.items() for line in (f"{name}:", *tail))


def answers(session: requests.Session, url: str) -> bool:
    """Say whether a GET succeeds.

    A refused connection is no, and so is a certificate file that is gone with its directory.
    """
    try:
        return session.get(url, timeout=5).ok
    except OSError:
        return False


def create_custom_resource(session: requests.Session, layout: Layout, wait: Waiter) -> None:
    """Create the kind that the product uses and Kubernetes lacks; wait until it is served."""
    definition = yaml.safe_load(CUSTOM_RESOURCE.read_text())
    definitions = f"{layout.url}/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    create(session, definitions, definition)
    spec = definition["spec"]
    served = (
        f"{layout.url}/apis/{spec['group']}/{spec['versions'][0]['name']}/{spec['names']['plural']}"
    )
    wait.until(f"{definition['metadata']['name']} to be served", lambda: answers(session, served))


def create(session: requests.Session, collection: str, manifest: Mapping[str, Any]) -> None:
    """Create one object. Raises StartError with the API server's answer."""
    answer = session.post(collection, json=manifest, timeout=10)
    if not answer.ok:
        raise StartError(f"the API server refused {manifest['kind']}: {answer.text}")


def stop_detached(directory: Path) -> None:
    """Stop a detached control plane and wait until its directory is gone. Safe to call twice.

    When no supervisor is left to do that, the directory is removed all the same.
    """
    (directory / supervisor.KEEP).unlink(missing_ok=True)
    deadline = time.monotonic() + STOP_SECONDS
    while directory.exists() and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)
    shutil.rmtree(directory, ignore_errors=True)
