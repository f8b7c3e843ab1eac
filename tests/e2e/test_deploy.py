"""`make deploy` from nothing: refused without secrets, then deployed, upgraded and rolled back.

In a MiniStack of its own, beside the stack that the other tests drive. Each version is a tree of
its own, as two checkouts are.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
import pytest
import requests

from chalicelib.domain.model import Role
from infra.kubeconfig import put_kubeconfig
from infra.local import cluster
from infra.local.services import run_ministack
from infra.local.state import clean_environment
from infra.paths import ROOT
from infra.tokens import mint

TIMEOUT_SECONDS = 60
NOT_SOURCE = shutil.ignore_patterns(".*_cache", ".git", ".local", ".venv", "__pycache__", "dist")
HEALTH = '_HEALTHY: Final = "healthy"'


@dataclass
class Account:
    """An AWS account, and the operator who deploys to it."""

    environment: Mapping[str, str]
    token: str = ""
    urls: list[str] = field(default_factory=list)

    def run(self, tree: Path, module: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """Run one of a tree's commands."""
        return subprocess.run(  # noqa: S603 - our own interpreter and modules
            [sys.executable, "-m", module, "--stage", "local", *arguments],
            cwd=tree,
            env={**clean_environment(), **self.environment},
            capture_output=True,
            text=True,
            check=False,
        )

    def deploy(self, tree: Path) -> None:
        """Deploy what a tree holds, and insist that it worked."""
        done = self.run(tree, "infra.deploy")
        assert done.returncode == 0, done.stderr + done.stdout
        self.urls.append(done.stdout.splitlines()[-1])

    def call(self, method: str, path: str, **options: Any) -> Any:
        """Send a request to the API and return the answer's body."""
        headers = {"Authorization": f"Bearer {self.token}"}
        url = f"{self.urls[-1]}{path}"
        answer = requests.request(method, url, headers=headers, timeout=TIMEOUT_SECONDS, **options)
        assert answer.ok, answer.text
        return answer.json()


@pytest.fixture(scope="module")
def account(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Account]:
    """An empty account."""
    with run_ministack(tmp_path_factory.mktemp("ministack")) as environment:
        yield Account(environment)


@pytest.fixture(scope="module")
def trees(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Path]:
    """Two versions; B says of itself that it is B."""
    directory = tmp_path_factory.mktemp("versions")
    found = {name: shutil.copytree(ROOT, directory / name, ignore=NOT_SOURCE) for name in "AB"}
    view = found["B"] / "chalicelib" / "routes" / "reference.py"
    source = view.read_text()
    assert HEALTH in source
    view.write_text(source.replace(HEALTH, '_HEALTHY: Final = "version B"'))
    return found


@pytest.fixture(scope="module")
def ready(
    account: Account, trees: Mapping[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Account]:
    """The account with its secrets stored, and with version A deployed."""
    refused = account.run(trees["A"], "infra.deploy")
    assert refused.returncode == 1
    assert "make mint-token ROLE=admin" in refused.stderr
    assert "make store-kubeconfig CLUSTER=main" in refused.stderr
    with cluster.serve() as double, pytest.MonkeyPatch.context() as patch:
        for name, value in account.environment.items():
            patch.setenv(name, value)
        secrets = boto3.client("secretsmanager")
        kubeconfig = tmp_path_factory.mktemp("operator") / "kubeconfig"
        kubeconfig.write_text(double.kubeconfig())
        put_kubeconfig(secrets, "main", kubeconfig, allow_loopback=True)
        account.token, _ = mint(secrets, Role.ADMIN)
        account.deploy(trees["A"])
        yield account


def test_an_upgrade_and_a_roll_back_keep_the_data(
    ready: Account, trees: Mapping[str, Path]
) -> None:
    ready.call("POST", "/api/friends", json={"id": "alice", "display_name": "Alice"})
    before = ready.call("GET", "/api/friends/alice")
    assert ready.call("GET", "/api/health")["status"] == "healthy"
    ready.deploy(trees["B"])
    assert ready.call("GET", "/api/health")["status"] == "version B"
    assert ready.call("GET", "/api/friends/alice") == before
    ready.call("POST", "/api/friends", json={"id": "bob", "display_name": "Bob"})
    ready.deploy(trees["A"])
    assert ready.call("GET", "/api/health")["status"] == "healthy"
    assert ready.call("GET", "/api/friends/alice") == before
    assert [each["id"] for each in ready.call("GET", "/api/friends")] == ["alice", "bob"]
    assert len(set(ready.urls)) == 1


def test_deploying_what_is_deployed_changes_nothing(
    ready: Account, trees: Mapping[str, Path]
) -> None:
    ready.deploy(trees["A"])
    assert ready.call("GET", "/api/health")["status"] == "healthy"


def test_an_unknown_stage_is_refused_with_those_there_are(
    account: Account, trees: Mapping[str, Path]
) -> None:
    command = [sys.executable, "-m", "infra.deploy", "--stage", "nowhere"]
    environment = {**os.environ, **account.environment}
    done = subprocess.run(  # noqa: S603 - our own interpreter and module
        command, cwd=trees["A"], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "There is no stage nowhere; .chalice/config.json has: local, prod." in done.stderr


@pytest.fixture
def operator(ready: Account, monkeypatch: pytest.MonkeyPatch) -> Account:
    """The account, to which boto3 talks too."""
    for name, value in ready.environment.items():
        monkeypatch.setenv(name, value)
    return ready


@pytest.mark.case("W3")
def test_the_doctor_finds_a_deployment_well(operator: Account, trees: Mapping[str, Path]) -> None:
    done = operator.run(trees["A"], "infra.doctor")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "FAIL" not in done.stdout
    # MiniStack's simulation of policies knows no conditions, and it restores no table.
    untold = [line for line in done.stdout.splitlines() if line.startswith("skip")]
    assert any("table" in line and "point-in-time recovery" in line for line in untold)
    assert any("role" in line and "simulates no conditions" in line for line in untold)


def test_the_doctor_names_the_fix_of_what_fails(
    operator: Account, trees: Mapping[str, Path]
) -> None:
    secrets = boto3.client("secretsmanager")
    kept = secrets.get_secret_value(SecretId="friends/kubeconfig/main")["SecretString"]
    secrets.put_secret_value(SecretId="friends/kubeconfig/main", SecretString="{}")
    try:
        done = operator.run(trees["A"], "infra.doctor")
    finally:
        secrets.put_secret_value(SecretId="friends/kubeconfig/main", SecretString=kept)
    assert done.returncode == 1, done.stdout + done.stderr
    faults = [line for line in done.stdout.splitlines() if line.startswith("FAIL")]
    assert [line.split(":")[0] for line in faults] == [
        "FAIL  secret friends/kubeconfig/main",
        "FAIL  cluster main",
    ]
    assert all("make store-kubeconfig CLUSTER=main FILE=/path" in line for line in faults)
