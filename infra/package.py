"""Build what is deployed: the Lambda bundle and the CloudFormation template.

Chalice makes both from app.py, but ships no bytecode, and would install the dependencies anew each
time. So the dependencies are built once (infra.packaging.vendor), everything is compiled, the zip
is of the same inputs always the same, and the result is tried. Where nothing has changed, nothing
is done.
"""

from __future__ import annotations

import argparse
import hashlib
import shutil
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Final

from infra.packaging import trial
from infra.packaging.archive import write_archive
from infra.packaging.bytecode import compile_tree
from infra.packaging.commands import PackageError, run
from infra.packaging.platforms import ARCHITECTURES, PYTHON_VERSIONS, Platform, find_interpreter
from infra.packaging.template import STAND_IN_ENVIRONMENT, application_files, build_template
from infra.packaging.vendor import build_vendor
from infra.paths import LOCK, RESOURCES, ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

# The Lambda runtime has these, and dateutil, which the bundle carries itself.
IN_THE_RUNTIME: Final = ("boto3", "botocore", "s3transfer", "jmespath")


@dataclass(frozen=True)
class Package:
    """A template, beside it the bundle that it names, and a digest of what both are made from."""

    template: Path
    bundle: Path
    digest: str


def package(out: Path, *, stage: str, platform: Platform) -> Package:
    """Build the template and the bundle of a stage in `out`.

    Does nothing when `out` already holds what the same inputs gave. Needs no credentials. Raises
    PackageError.
    """
    interpreter = find_interpreter(platform.python_version)
    digest = _digest_inputs(stage, platform, interpreter)
    result = Package(out / "sam.yaml", out / "deployment.zip", digest)
    stamp = out / "inputs.sha256"
    if (
        all(path.exists() for path in (result.template, result.bundle, stamp))
        and stamp.read_text() == digest
    ):
        return result
    vendor = build_vendor(platform, interpreter)
    stamp.unlink(missing_ok=True)
    with tempfile.TemporaryDirectory(prefix="friends-api-") as directory:
        template, application = build_template(Path(directory), stage, platform)
        tree = Path(directory) / "task"
        shutil.copytree(vendor, tree)
        with zipfile.ZipFile(application) as archive:
            archive.extractall(tree)
        if interpreter:
            compile_tree(tree, interpreter)
        bundle = Path(directory) / "deployment.zip"
        write_archive(tree, bundle)
        if interpreter and platform.is_native:
            _try_tree(tree, Path(directory) / "runtime", interpreter)
        out.mkdir(parents=True, exist_ok=True)
        shutil.move(template, result.template)
        shutil.move(bundle, result.bundle)
    stamp.write_text(digest)
    return result


def package_template(out: Path, *, stage: str, platform: Platform) -> Path:
    """Build the template alone, which takes seconds. Raises PackageError."""
    with tempfile.TemporaryDirectory(prefix="friends-api-") as directory:
        template, _ = build_template(Path(directory), stage, platform)
        out.mkdir(parents=True, exist_ok=True)
        return Path(shutil.move(template, out / "sam.yaml"))


def explain_gaps(platform: Platform) -> Iterator[str]:
    """Yield what could not be done for this platform on this machine."""
    version = platform.python_version
    if find_interpreter(version) is None:
        yield (
            f"No python{version} is here: the bundle has no bytecode, which costs each cold start "
            f"about as much again. Install Python {version}, or set PYTHON_VERSION."
        )
    elif not platform.is_native:
        yield f"The bundle was not tried: {platform} does not run on this machine."


def _digest_inputs(stage: str, platform: Platform, interpreter: str | None) -> str:
    """Return a digest of everything that the package is made from."""
    digest = hashlib.sha256()
    version = run([interpreter, "-VV"], "The interpreter does not run") if interpreter else ""
    facts = (stage, str(platform), version, metadata.version("chalice"))
    digest.update("\n".join(facts).encode())
    for path in _input_files():
        digest.update(f"\n{path.relative_to(ROOT)}\n".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _input_files() -> Iterator[Path]:
    yield from (LOCK, RESOURCES, Path(__file__))
    yield from sorted((ROOT / "infra" / "packaging").glob("*.py"))
    yield from application_files()


def _try_tree(tree: Path, runtime: Path, interpreter: str) -> None:
    """Run infra.packaging.trial: with the bundle, what the Lambda runtime has, and nothing else."""
    runtime.mkdir()
    for name in IN_THE_RUNTIME:
        here = Path(str(metadata.distribution(name).locate_file(name)))
        (runtime / name).symlink_to(here)
    command = [interpreter, "-I", "-S", "-B", trial.__file__, str(tree), str(runtime)]
    failure = "The bundle does not work on its own"
    run(command, failure, environment=STAND_IN_ENVIRONMENT, bare=True)


def add_platform_options(parser: argparse.ArgumentParser, *, default: str | None = None) -> None:
    """Let a command be told what the bundle is to run on.

    default is what the help says where the command itself finds out; the options then are None.
    """
    here = Platform.here()
    parser.add_argument(
        "--python-version",
        default=None if default else here.python_version,
        metavar="|".join(PYTHON_VERSIONS),
        help=f"the Python that runs it (default: {default or here.python_version})",
    )
    parser.add_argument(
        "--arch",
        default=None if default else here.architecture,
        metavar="|".join(ARCHITECTURES),
        help=f"the processor that runs it (default: {default or here.architecture})",
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Build the Lambda bundle and its template."""
    parser = argparse.ArgumentParser(prog="python -m infra.package", description=main.__doc__)
    parser.add_argument("--out", type=Path, default=ROOT / "dist")
    parser.add_argument(
        "--stage", default="prod", help="a stage of .chalice/config.json (default: prod)"
    )
    parser.add_argument(
        "--template-only", action="store_true", help="for a look at it: no bundle is built"
    )
    add_platform_options(parser)
    options = parser.parse_args(arguments)
    try:
        platform = Platform(options.python_version, options.arch)
        if options.template_only:
            print(package_template(options.out, stage=options.stage, platform=platform))  # noqa: T201 (a command's output)
            return
        result = package(options.out, stage=options.stage, platform=platform)
    except PackageError as error:
        sys.exit(str(error))
    for gap in explain_gaps(platform):
        print(gap, file=sys.stderr)  # noqa: T201 (a command's output)
    megabytes = result.bundle.stat().st_size / 1e6
    print(f"{result.template} and {result.bundle} ({megabytes:.1f} MB, {platform})")  # noqa: T201 (as above)


if __name__ == "__main__":
    main()
