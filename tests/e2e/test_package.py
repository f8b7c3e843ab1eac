"""The bundle of `make package`: the same each time, what the stack runs, and light to import."""

import hashlib
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from infra.package import IN_THE_RUNTIME, Package, package
from infra.packaging.platforms import Platform
from infra.packaging.template import STAND_IN_ENVIRONMENT

DEPLOYED = Path(__file__).parent.parent.parent / ".local" / "dist" / "deployment.zip"
CLUSTER_CODE = ("kubernetes", "requests", "yaml", "pydantic", "oauthlib", "websocket")


def digest_of(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Package:
    """The package of `make package` for this environment's Python."""
    return package(tmp_path_factory.mktemp("dist"), stage="prod", platform=Platform.here())


def test_building_again_from_nothing_gives_the_same_bytes(
    built: Package, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "empty-cache"))
    again = package(tmp_path / "dist", stage="prod", platform=Platform.here())
    assert digest_of(again.bundle) == digest_of(built.bundle)
    assert digest_of(again.template) == digest_of(built.template)


def test_the_stack_runs_this_very_bundle(built: Package) -> None:
    assert digest_of(DEPLOYED) == digest_of(built.bundle)


def test_every_module_has_its_bytecode(built: Package) -> None:
    tag = Platform.here().cache_tag
    with zipfile.ZipFile(built.bundle) as archive:
        names = set(archive.namelist())
    for name in names:
        if name.endswith(".py"):
            path = Path(name)
            assert str(path.parent / "__pycache__" / f"{path.stem}.{tag}.pyc") in names


def test_importing_the_app_loads_no_cluster_code_and_opens_no_connection(
    built: Package, tmp_path: Path
) -> None:
    with zipfile.ZipFile(built.bundle) as archive:
        archive.extractall(tmp_path / "task")
    code = (
        "import json, socket, sys\n"
        "def refuse(*_): raise SystemExit('a connection is opened')\n"
        "socket.socket.connect = socket.getaddrinfo = refuse\n"
        "sys.path.insert(0, sys.argv[1])\n"
        "import app\n"
        "print(json.dumps([app.__file__, *{name.partition('.')[0] for name in sys.modules}]))\n"
    )
    command = [sys.executable, "-B", "-c", code, str(tmp_path / "task")]
    environment = {"PATH": os.environ["PATH"], **STAND_IN_ENVIRONMENT}
    done = subprocess.run(  # noqa: S603 - our own interpreter
        command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=True
    )
    file, *loaded = json.loads(done.stdout)
    assert file.startswith(str(tmp_path))
    assert "botocore" in loaded
    assert not set(loaded) & {*CLUSTER_CODE, *IN_THE_RUNTIME[:1]}
