"""Build what is deployed: the Lambda bundle and the CloudFormation template.

Chalice makes both from app.py, but ships no bytecode, and would install the dependencies anew each
time. So the dependencies are built once per lock file, outside the tree, compiled and without what
never runs; the bundle gets the bytecode of everything else; and where nothing has changed, nothing
is done. On a cold start bytecode saves about two thirds of the time that imports take.
"""

from __future__ import annotations

import argparse
import compileall
import hashlib
import os
import platform
import py_compile
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from enum import Enum
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

ROOT: Final = Path(__file__).resolve().parent.parent
LOCK: Final = ROOT / "requirements" / "runtime.txt"
RESOURCES: Final = ROOT / "infra" / "resources.yaml"

# Only kubernetes.aio, which nothing here imports, needs these.
_UNUSED_PACKAGES: Final = frozenset(
    {
        "aiohappyeyeballs",
        "aiohttp",
        "aiohttp-retry",
        "aiosignal",
        "attrs",
        "frozenlist",
        "multidict",
        "propcache",
        "yarl",
    }
)
_UNUSED_PATHS: Final = ("bin", "kubernetes/aio", "kubernetes/test", "kubernetes/e2e_test")
# The Lambda runtime has these; the bundle is tried with nothing else beside it.
_IN_THE_RUNTIME: Final = ("boto3", "botocore", "s3transfer", "jmespath")
_LAMBDA_PLATFORMS: Final = ("manylinux2014_x86_64", "manylinux_2_28_x86_64")
_DEPLOYED_ROOT: Final = "/var/task"
_ZIP_TIME: Final = (1980, 1, 1, 0, 0, 0)
# app.py reads its settings when it is imported; these are never deployed.
_STAND_IN_ENVIRONMENT: Final = {
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_ACCESS_KEY_ID": "none",
    "AWS_SECRET_ACCESS_KEY": "none",
    "TABLE_NAME": "none",
    "WORKSPACE_BUCKET": "none",
    "RUN_OPERATION_FUNCTION": "none",
}


class PackageError(Exception):
    """The bundle cannot be built; the message says what to do."""


class Target(Enum):
    """Where the bundle is to run; the dependencies' wheels differ."""

    LAMBDA = "lambda"
    HERE = "here"


@dataclass(frozen=True)
class Package:
    """A template, beside it the bundle that it names, and a digest of what both are made from."""

    template: Path
    bundle: Path
    digest: str


def package(out: Path, *, stage: str, target: Target) -> Package:
    """Build the template and the bundle of a stage in `out`.

    Does nothing when `out` already holds what the same inputs gave. Needs no credentials. Raises
    PackageError.
    """
    result = Package(out / "sam.yaml", out / "deployment.zip", _digest_inputs(stage, target))
    stamp = out / "inputs.sha256"
    if (
        all(path.exists() for path in (result.template, result.bundle, stamp))
        and stamp.read_text() == result.digest
    ):
        return result
    vendor = build_vendor(target)
    stamp.unlink(missing_ok=True)
    with tempfile.TemporaryDirectory(prefix="friends-api-") as directory:
        staging = _stage(Path(directory), vendor)
        _run_chalice(staging, stage)
        _add_bytecode(staging / "dist" / "deployment.zip")
        if _runs_here(target):
            _try_bundle(staging / "dist" / "deployment.zip", Path(directory) / "trial")
        out.mkdir(parents=True, exist_ok=True)
        for path in result.template, result.bundle:
            shutil.move(staging / "dist" / path.name, path)
    stamp.write_text(result.digest)
    return result


def build_vendor(target: Target) -> Path:
    """Return a directory with the locked dependencies, compiled.

    It is kept, and shared by all trees with the same lock.
    """
    recipe = Path(__file__).read_bytes()
    key = hashlib.sha256(LOCK.read_bytes() + recipe).hexdigest()[:16]
    built = _cache_home() / f"vendor-{key}-{sys.implementation.cache_tag}-{_platform_tag(target)}"
    if built.exists():
        return built
    built.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="building-", dir=built.parent) as directory:
        vendor = Path(directory) / "vendor"
        _install(vendor, target)
        _strip(vendor)
        _compile(vendor)
        try:
            vendor.rename(built)
        except OSError:
            if not built.exists():  # otherwise somebody else has built the same at the same time
                raise
    return built


def _cache_home() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "friends-api"


def _platform_tag(target: Target) -> str:
    if target is Target.LAMBDA:
        return "lambda-x86_64"
    return f"{sys.platform}-{platform.machine()}".lower()


def _runs_here(target: Target) -> bool:
    return target is Target.HERE or _platform_tag(Target.HERE) == "linux-x86_64"


def _digest_inputs(stage: str, target: Target) -> str:
    """Return a digest of everything that the package is made from."""
    digest = hashlib.sha256()
    facts = (stage, _platform_tag(target), sys.version, metadata.version("chalice"))
    digest.update("\n".join(facts).encode())
    for path in _input_files():
        digest.update(f"\n{path.relative_to(ROOT)}\n".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _input_files() -> Iterator[Path]:
    yield from (ROOT / "app.py", LOCK, RESOURCES, Path(__file__))
    yield from sorted((ROOT / "chalicelib").rglob("*.py"))
    yield from sorted((ROOT / ".chalice").glob("*.json"))


def _install(vendor: Path, target: Target) -> None:
    """Install the locked dependencies that run, each checked against its hash."""
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as lock:
        lock.write("\n".join(_used_requirements(LOCK.read_text())))
        lock.flush()
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        command += ["--no-compile", "--no-deps", "--require-hashes", "--only-binary=:all:"]
        command += ["--target", str(vendor), "--requirement", lock.name]
        if target is Target.LAMBDA:
            command += [f"--platform={each}" for each in _LAMBDA_PLATFORMS]
        _run(command, "The dependencies cannot be installed")


def _used_requirements(lock: str) -> Iterator[str]:
    """Yield the lock's requirements, with their hashes, without the packages that never run."""
    for requirement in re.split(r"\n(?=\S)", lock):
        name = re.match(r"[\w.-]+", requirement)
        if name and name[0].lower().replace("_", "-") not in _UNUSED_PACKAGES:
            yield requirement


def _strip(vendor: Path) -> None:
    for path in _UNUSED_PATHS:
        shutil.rmtree(vendor / path, ignore_errors=True)
    for tests in vendor.rglob("tests"):
        shutil.rmtree(tests)


def _compile(vendor: Path) -> None:
    """Compile in place: unchecked, because a bundle's files get times that match no bytecode."""
    compiled = compileall.compile_dir(
        vendor,
        stripdir=str(vendor),
        prependdir=_DEPLOYED_ROOT,
        quiet=2,
        workers=0,
        invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
    )
    if not compiled:
        version = platform.python_version()
        msg = f"Some dependencies in {LOCK.name} do not compile with Python {version}."
        raise PackageError(msg)


def _stage(directory: Path, vendor: Path) -> Path:
    """Lay out what Chalice packages elsewhere, so that the working tree stays as it is."""
    staging = directory / "app"
    shutil.copytree(
        ROOT / "chalicelib", staging / "chalicelib", ignore=shutil.ignore_patterns("__pycache__")
    )
    shutil.copytree(
        ROOT / ".chalice", staging / ".chalice", ignore=shutil.ignore_patterns("deploy*")
    )
    shutil.copy(ROOT / "app.py", staging)
    shutil.copy(RESOURCES, staging)
    (staging / "requirements.txt").touch()
    (staging / "vendor").symlink_to(vendor)
    return staging


def _run_chalice(staging: Path, stage: str) -> None:
    command = [sys.executable, "-c", "import sys; from chalice.cli import main; sys.exit(main())"]
    command += ["--project-dir", str(staging), "package", "--stage", stage]
    command += ["--merge-template", RESOURCES.name, "--template-format", "yaml", "dist"]
    _run(
        command,
        "Chalice cannot package the application",
        cwd=staging,
        environment=_STAND_IN_ENVIRONMENT,
    )


def _add_bytecode(bundle: Path) -> None:
    """Add the bytecode of each module that has none: app.py, chalicelib and Chalice's runtime."""
    with (
        zipfile.ZipFile(bundle, "a", zipfile.ZIP_DEFLATED) as archive,
        tempfile.TemporaryDirectory() as directory,
    ):
        names = set(archive.namelist())
        for name in sorted(names):
            bytecode = _bytecode_name(name)
            if name.endswith(".py") and bytecode not in names:
                content = _compiled(archive.read(name), name, Path(directory))
                archive.writestr(
                    zipfile.ZipInfo(bytecode, _ZIP_TIME), content, zipfile.ZIP_DEFLATED
                )


def _bytecode_name(module: str) -> str:
    path = Path(module)
    return str(path.parent / "__pycache__" / f"{path.stem}.{sys.implementation.cache_tag}.pyc")


def _compiled(source: bytes, name: str, scratch: Path) -> bytes:
    (scratch / "module.py").write_bytes(source)
    py_compile.compile(
        str(scratch / "module.py"),
        cfile=str(scratch / "module.pyc"),
        dfile=f"{_DEPLOYED_ROOT}/{name}",
        doraise=True,
        invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
    )
    return (scratch / "module.pyc").read_bytes()


def _try_bundle(bundle: Path, trial: Path) -> None:
    """Import the application from the bundle, beside what the Lambda runtime has and nothing else.

    The local stack runs functions with this environment's packages in reach, so it would not notice
    that the bundle lacks one.
    """
    with zipfile.ZipFile(bundle) as archive:
        archive.extractall(trial / "task")
    for name in _IN_THE_RUNTIME:
        package_directory = Path(str(metadata.distribution(name).locate_file(name)))
        (trial / "runtime").mkdir(exist_ok=True)
        (trial / "runtime" / name).symlink_to(package_directory)
    code = "import sys; sys.path += sys.argv[1:]; import app"
    command = [sys.executable, "-I", "-S", "-c", code, str(trial / "task"), str(trial / "runtime")]
    _run(command, "The bundle cannot be imported on its own", environment=_STAND_IN_ENVIRONMENT)


def _run(
    command: Sequence[str],
    failure: str,
    *,
    cwd: Path = ROOT,
    environment: dict[str, str] | None = None,
) -> None:
    """Run a command. Raises PackageError with the last lines that it wrote."""
    done = subprocess.run(  # noqa: S603 (the commands above)
        command,
        cwd=cwd,
        env={**os.environ, **(environment or {})},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode:
        raise PackageError(f"{failure}:\n{_last_lines(done.stdout.splitlines())}")


def _last_lines(lines: Sequence[str]) -> str:
    return "\n".join(lines[-12:])


def main(arguments: Iterable[str] | None = None) -> None:
    """Build the Lambda bundle and its template."""
    parser = argparse.ArgumentParser(prog="python -m infra.package", description=main.__doc__)
    parser.add_argument("--out", type=Path, default=ROOT / "dist")
    parser.add_argument(
        "--stage", default="prod", help="a stage of .chalice/config.json (default: prod)"
    )
    parser.add_argument(
        "--target",
        type=Target,
        choices=list(Target),
        default=Target.LAMBDA,
        metavar="lambda|here",
        help="whose wheels to use: Lambda's, or this machine's (default: lambda)",
    )
    options = parser.parse_args(None if arguments is None else list(arguments))
    try:
        result = package(options.out, stage=options.stage, target=options.target)
    except PackageError as error:
        sys.exit(str(error))
    megabytes = result.bundle.stat().st_size / 1e6
    print(f"{result.template} and {result.bundle} ({megabytes:.1f} MB)")  # noqa: T201 (a command's output)


if __name__ == "__main__":
    main()
