"""The programs that packaging runs, and how their failures are told."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING, Final

from infra.paths import ROOT

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

_MOST_LINES: Final = 12
_BARE: Final = ("HOME", "LANG", "PATH", "TMPDIR")


class PackageError(Exception):
    """The bundle cannot be built; the message says what to do."""


def run(
    command: Sequence[str],
    failure: str,
    *,
    cwd: Path = ROOT,
    environment: Mapping[str, str] | None = None,
    bare: bool = False,
) -> str:
    """Run a command and return what it wrote. Raises PackageError with the last lines of that.

    bare leaves out what a shell happens to have set, which may be the application's settings.
    """
    inherited = {name: os.environ[name] for name in _BARE if name in os.environ}
    done = subprocess.run(  # noqa: S603 (our own commands)
        command,
        cwd=cwd,
        env={**(inherited if bare else os.environ), **(environment or {})},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode:
        last = "\n".join(done.stdout.splitlines()[-_MOST_LINES:])
        raise PackageError(f"{failure}:\n{last}")
    return done.stdout
