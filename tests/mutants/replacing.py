"""Gives functions that are imported already the code that lacks a guard."""

import gc
import importlib
from collections.abc import Iterator
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


def replace_functions(guard: Guard) -> None:
    """Take a guard out of this process."""
    importlib.import_module(guard.path.removesuffix(".py").replace("/", "."))
    codes = _codes_without(guard)
    for function in _functions():
        code = function.__code__
        if code.co_filename == str(ROOT / guard.path):
            function.__code__ = codes.get((code.co_qualname, code.co_firstlineno), code)


def _functions() -> Iterator[FunctionType]:
    return (each for each in gc.get_objects() if type(each) is FunctionType)


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
