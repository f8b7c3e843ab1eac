"""Bytecode that survives packaging, made by the very Python that will run it.

Without it a function compiles what it imports at each cold start, since Lambda's directory is
read-only. Bytecode with a time in it would be stale, since a bundle's files have no times; so it is
unchecked: nothing in a bundle changes after it is built.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from infra.packaging.commands import run

if TYPE_CHECKING:
    from pathlib import Path

_DEPLOYED_ROOT: Final = "/var/task"
# The order of a set's constants, and so the bytecode, depends on the seed.
_SAME_EACH_TIME: Final = {"PYTHONHASHSEED": "0"}


def compile_tree(tree: Path, interpreter: str) -> None:
    """Compile every module in the tree that has no bytecode yet; the same each time.

    In one process: what several share among them would decide how constants are interned.
    Raises PackageError.
    """
    command = [interpreter, "-m", "compileall", "-q", "-j", "1"]
    command += ["--invalidation-mode", "unchecked-hash"]
    command += ["-s", str(tree), "-p", _DEPLOYED_ROOT, str(tree)]
    run(command, "Some modules do not compile", environment=_SAME_EACH_TIME)
