"""What a bundle runs on, and the interpreter here that is of the same version."""

from __future__ import annotations

import platform
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from infra.packaging.commands import PackageError

if TYPE_CHECKING:
    from collections.abc import Iterator

# From ours to the newest that Chalice 1.34 knows; Lambda offers SnapStart from 3.12 on.
PYTHON_VERSIONS: Final = ("3.11", "3.12", "3.13", "3.14")
_FIRST_WITH_SNAP_START: Final = "3.12"
_MACHINES: Final = {"x86_64": "x86_64", "arm64": "aarch64"}
ARCHITECTURES: Final = tuple(_MACHINES)
# Python 3.11 runs on Amazon Linux 2 (glibc 2.26), later ones on Amazon Linux 2023 (glibc 2.34):
# docs.aws.amazon.com, "Lambda runtimes".
_MANYLINUX: Final = ("manylinux2014", "manylinux_2_17")
_NEWER_MANYLINUX: Final = ("manylinux_2_28",)


@dataclass(frozen=True)
class Platform:
    """A Python, a processor by its name at Lambda, and an operating system."""

    python_version: str
    architecture: str
    system: str = "linux"

    def __post_init__(self) -> None:
        """Refuse what Lambda does not run. Raises PackageError."""
        for value, choices, name in (
            (self.python_version, PYTHON_VERSIONS, "PYTHON_VERSION"),
            (self.architecture, ARCHITECTURES, "ARCH"),
        ):
            if value not in choices:
                raise PackageError(f"{name} must be one of: {', '.join(choices)}.")

    @classmethod
    def here(cls) -> Platform:
        """Return what this process runs on."""
        machine = platform.machine().lower()
        architecture = "arm64" if machine in {"arm64", "aarch64"} else machine
        return cls("{}.{}".format(*sys.version_info), architecture, sys.platform)

    @property
    def cache_tag(self) -> str:
        """How bytecode for this Python is named."""
        return f"cpython-{self.python_version.replace('.', '')}"

    @property
    def has_snap_start(self) -> bool:
        """Whether Lambda can restore a function from a snapshot instead of starting it."""
        versions = PYTHON_VERSIONS.index
        return versions(self.python_version) >= versions(_FIRST_WITH_SNAP_START)

    @property
    def is_native(self) -> bool:
        """Whether compiled code for it runs on this machine."""
        here = Platform.here()
        return (self.architecture, self.system) == (here.architecture, here.system)

    def wheel_options(self) -> list[str]:
        """Return pip's options for it; another system than Lambda's takes its own wheels."""
        if self.system != "linux":
            return []
        newer = _NEWER_MANYLINUX if self.has_snap_start else ()
        machine = _MACHINES[self.architecture]
        tags = [f"--platform={each}_{machine}" for each in (*_MANYLINUX, *newer)]
        return [*tags, "--implementation=cp", f"--python-version={self.python_version}"]

    def __str__(self) -> str:
        return f"Python {self.python_version} on {self.system} {self.architecture}"


def find_interpreter(python_version: str) -> str | None:
    """Return an interpreter here of that minor version: this one, one on PATH, or pyenv's."""
    for candidate in _candidates(python_version):
        if _version_of(candidate) == python_version:
            return candidate
    return None


def _candidates(python_version: str) -> Iterator[str]:
    yield sys.executable
    if found := shutil.which(f"python{python_version}"):
        yield found
    for path in sorted(Path.home().glob(f".pyenv/versions/{python_version}.*/bin/python")):
        yield str(path)


def _version_of(interpreter: str) -> str:
    """Return the minor version; empty for a program that does not run, as a shim of none."""
    code = "import sys; print('{}.{}'.format(*sys.version_info), end='')"
    command = [interpreter, "-I", "-S", "-c", code]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout  # noqa: S603 (interpreters)
