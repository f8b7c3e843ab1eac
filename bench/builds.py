"""The three builds whose cold starts are compared, unpacked as Lambda unpacks them."""

import json
import shutil
import zipfile
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path

from infra.package import IN_THE_RUNTIME, Package, package
from infra.packaging.bytecode import compile_tree
from infra.packaging.commands import run
from infra.packaging.platforms import Platform, find_interpreter
from infra.packaging.template import chalice_command
from infra.paths import ROOT

# What botocore needs besides, and the Lambda runtime has.
_ITS_DEPENDENCIES = ("dateutil", "six.py", "urllib3")


def interpreter() -> str:
    """Return the Python that runs all builds."""
    found = find_interpreter(Platform.here().python_version)
    assert found is not None  # noqa: S101 - it runs this very line
    return found


def build_ours() -> Package:
    """Return what `make package` builds."""
    return package(ROOT / "dist", stage="prod", platform=Platform.here())


def unpack(bundle: Path, task: Path) -> Path:
    """Unpack a bundle."""
    with zipfile.ZipFile(bundle) as archive:
        archive.extractall(task)
    return task


def build_with_chalice(name: str, directory: Path, environment: Mapping[str, str]) -> Path:
    """Return the bundle that Chalice by itself makes of bench/<name>.

    Chalice imports what it packages, so the environment is that of the function.
    """
    project = directory / name
    shutil.copytree(ROOT / "bench" / name, project)
    (project / "requirements.txt").touch()
    (project / ".chalice").mkdir()
    role = {"manage_iam_role": False, "iam_role_arn": "arn:aws:iam::000000000000:role/none"}
    config = {"version": "2.0", "app_name": name, **role, "stages": {"dev": {}}}
    (project / ".chalice" / "config.json").write_text(json.dumps(config), encoding="utf-8")
    command = [*chalice_command(project), "package", "--stage", "dev", "dist"]
    run(command, f"Chalice cannot package {name}", cwd=project, environment=environment)
    return project / "dist" / "deployment.zip"


def build_runtime(directory: Path) -> Path:
    """Return a directory with what the Lambda runtime has beside the standard library, compiled."""
    runtime = directory / "runtime"
    site = Path(str(metadata.distribution("botocore").locate_file("")))
    for name in (*IN_THE_RUNTIME, *_ITS_DEPENDENCIES):
        if (site / name).is_file():
            shutil.copy(site / name, runtime / name)
        else:
            ignored = shutil.ignore_patterns("__pycache__", "data")
            shutil.copytree(site / name, runtime / name, ignore=ignored)
    for name in ("boto3", "botocore"):
        (runtime / name / "data").symlink_to(site / name / "data")
    compile_tree(runtime, interpreter())
    return runtime
