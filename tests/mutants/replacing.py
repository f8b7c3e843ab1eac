"""Gives functions that are imported already the code that lacks a guard."""

import gc
import importlib
from collections.abc import Collection, Iterator
from types import CodeType, FunctionType

from tests.mutants.guards import ROOT, Guard, compile_without

_Names = dict[tuple[str, int], CodeType]


def is_replaceable(guard: Guard) -> bool:
    """Tell whether the guard is out as soon as functions have other code.

    It is not where a module has to be imported for it, nor where a closure would lose a variable.
    """
    if not guard.is_late:
        return False
    was, is_now = _codes_with(guard), _codes_without(guard)
    return all(
        name in was and code.co_freevars == was[name].co_freevars for name, code in is_now.items()
    )


class Functions:
    """What is imported of the guards' modules.

    It is looked for once, before processes are forked: the search touches each object there is, and
    a fork then copies them all. For the same reason a fork does not collect what it inherits.
    """

    def __init__(self, guards: Collection[Guard]) -> None:
        """Import the modules, and find their functions."""
        self._of: dict[str, list[FunctionType]] = {str(ROOT / each.path): [] for each in guards}
        for path in {each.path for each in guards}:
            importlib.import_module(path.removesuffix(".py").replace("/", "."))
        for each in gc.get_objects():
            if type(each) is FunctionType and each.__code__.co_filename in self._of:
                self._of[each.__code__.co_filename].append(each)
        gc.freeze()

    def replace(self, guard: Guard) -> None:
        """Take a guard out of this process."""
        codes = _codes_without(guard)
        for function in self._of[str(ROOT / guard.path)]:
            code = function.__code__
            function.__code__ = codes.get((code.co_qualname, code.co_firstlineno), code)


def _codes_with(guard: Guard) -> _Names:
    path = ROOT / guard.path
    text = path.read_text(encoding="utf-8")
    return dict(_named(compile(text, str(path), "exec", dont_inherit=True)))


def _codes_without(guard: Guard) -> _Names:
    return dict(_named(compile_without(guard)))


def _named(code: CodeType) -> Iterator[tuple[tuple[str, int], CodeType]]:
    for each in code.co_consts:
        if isinstance(each, CodeType):
            yield (each.co_qualname, each.co_firstlineno), each
            yield from _named(each)
