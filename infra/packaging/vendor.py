"""The locked dependencies, as the bundle carries them: compiled, and without what never runs.

They are built once for each lock and platform, outside the tree.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

from infra.packaging.bytecode import compile_tree
from infra.packaging.commands import run
from infra.paths import LOCK

if TYPE_CHECKING:
    from collections.abc import Iterator

    from infra.packaging.platforms import Platform

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
_UNUSED: Final = (
    "bin",
    "kubernetes/aio",
    "kubernetes/test",
    "kubernetes/e2e_test",
    # Objects stay JSON here (gateways/cluster): the client's models and typed calls, half of the
    # bundle, are looked up by name when they are asked for, which nobody does.
    "kubernetes/client/api",
    "kubernetes/client/models/[!_]*",
    # Kubeconfigs are read by a loader of ours, on PyYAML's Python one.
    "yaml/_yaml.*",
    # A list of files that are partly gone.
    "*.dist-info/RECORD",
    "**/tests",
)


def build_vendor(platform: Platform, interpreter: str | None) -> Path:
    """Return a directory with the dependencies, shared by all trees with the same lock.

    Without an interpreter of the platform's version they have no bytecode. Raises PackageError.
    """
    built = _cache_home() / f"vendor-{_key(platform, interpreter)}"
    if built.exists():
        return built
    built.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="building-", dir=built.parent) as directory:
        vendor = Path(directory) / "vendor"
        _install(vendor, platform)
        _strip(vendor)
        if interpreter:
            compile_tree(vendor, interpreter)
        try:
            vendor.rename(built)
        except OSError:
            if not built.exists():  # otherwise somebody else has built the same at the same time
                raise
    return built


def _key(platform: Platform, interpreter: str | None) -> str:
    recipe = b"".join(path.read_bytes() for path in sorted(Path(__file__).parent.glob("*.py")))
    facts = f"{platform} {interpreter}".encode()
    return hashlib.sha256(LOCK.read_bytes() + recipe + facts).hexdigest()[:16]


def _cache_home() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "friends-api"


def _install(vendor: Path, platform: Platform) -> None:
    """Install the locked dependencies that run, each checked against its hash."""
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as lock:
        lock.write("\n".join(_used_requirements(LOCK.read_text())))
        lock.flush()
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        command += ["--no-compile", "--no-deps", "--require-hashes", "--only-binary=:all:"]
        command += ["--target", str(vendor), "--requirement", lock.name]
        run([*command, *platform.wheel_options()], "The dependencies cannot be installed")


def _used_requirements(lock: str) -> Iterator[str]:
    """Yield the lock's requirements, with their hashes, without the packages that never run."""
    for requirement in re.split(r"\n(?=\S)", lock):
        name = re.match(r"[\w.-]+", requirement)
        if name and name[0].lower().replace("_", "-") not in _UNUSED_PACKAGES:
            yield requirement


def _strip(vendor: Path) -> None:
    for pattern in _UNUSED:
        for path in list(vendor.glob(pattern)):
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()
