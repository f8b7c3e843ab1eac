"""The one guard that is out, as the product's own code asks for it while it runs.

The product is compiled with a question at each guard. So a guard is put out in a process that has
imported everything, the tests that reach it are known, and that it was out is seen.
"""

import ast
import importlib.abc
import importlib.machinery
import importlib.util
import sys
from collections.abc import Sequence
from pathlib import Path
from types import CodeType, ModuleType
from typing import Final

from tests.mutants.guards import MODULES, ROOT, mark

_reached: Final[set[str]] = set()
_out: Final[set[str]] = set()
_missing: Final[set[str]] = set()


def is_on(identifier: str) -> bool:
    """Tell the product whether a guard does what it says, having noted that it would now."""
    _reached.add(identifier)
    if identifier in _out:
        _missing.add(identifier)
        return False
    return True


def put_out(identifier: str) -> None:
    """Take a guard out of this process."""
    _out.add(identifier)


def was_missing(identifier: str) -> bool:
    """Tell whether the product has come to where a guard was, and was told that it is out."""
    return identifier in _missing


def take_reached() -> frozenset[str]:
    """Return the guards that had something to do since this was asked last."""
    reached = frozenset(_reached)
    _reached.clear()
    return reached


class _Loader(importlib.machinery.SourceFileLoader):
    def get_code(self, fullname: str) -> CodeType:
        marked, _ = mark(Path(self.path))
        return compile(marked, self.path, "exec", dont_inherit=True)

    def exec_module(self, module: ModuleType) -> None:
        vars(module)["__is_on__"] = is_on
        super().exec_module(module)


class _Finder(importlib.abc.MetaPathFinder):
    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        del path, target
        file = ROOT / (fullname.replace(".", "/") + ".py")
        if file not in MODULES:
            return None
        return importlib.util.spec_from_file_location(
            fullname, file, loader=_Loader(fullname, str(file))
        )


def install() -> None:
    """Have the product imported with its questions, from now on."""
    sys.meta_path.insert(0, _Finder())


def run_source(tree: ast.Module, names: dict[str, object]) -> None:
    """Run what was marked, with the question at hand."""
    names["__is_on__"] = is_on
    exec(compile(tree, "marked", "exec", dont_inherit=True), names)  # noqa: S102 - ours
