"""The guards that `make mutants` takes out: found by what they are, and gone when they are out."""

import ast
from pathlib import Path
from types import CodeType
from typing import Any

import pytest

from tests.mutants import guards
from tests.mutants.guards import MODULES, NO_GUARDS, ROOT, compile_without, find_guards

SOURCE = """
LIMITS = {"low": 1, "high": 2}


def check(value: int, faults: list[str]) -> None:
    if value < 0 or value > 9:
        raise ValueError(value)
    if not (value and value != 5):
        faults.append("no")


def is_odd(value: int) -> bool:
    return value > 0 and value % 2 == 1


def name_fault(value: str) -> str | None:
    if value:
        return None
    return "must not be empty."
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A module with a few guards."""
    monkeypatch.setattr(guards, "ROOT", tmp_path)
    path = tmp_path / "module.py"
    path.write_text(SOURCE)
    return path


def test_a_module_without_a_guard_lets_more_through(module: Path) -> None:
    found = {guard.text: guard for guard in find_guards(module)}
    assert [*found] == [
        "'low': 1",
        "'high': 2",
        "value < 0",
        "value > 9",
        "raise ValueError(value)",
        "not value",
        "not value != 5",
        "faults.append('no')",
        "value > 0",
        "value % 2 == 1",
        "value",
        "return 'must not be empty.'",
    ]
    without = {text: names_of(compile_without(guard)) for text, guard in found.items()}
    assert without["'low': 1"]["LIMITS"] == {"high": 2}
    without["value < 0"]["check"](-1, [])
    without["raise ValueError(value)"]["check"](-1, [])
    assert without["value % 2 == 1"]["is_odd"](2)
    assert without["return 'must not be empty.'"]["name_fault"]("") is None


def names_of(code: CodeType) -> dict[str, Any]:
    names: dict[str, Any] = {}
    exec(code, names)  # noqa: S102 - ours
    return names


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_the_product_compiles_without_any_one_guard(path: Path) -> None:
    for guard in find_guards(path):
        compile_without(guard)


def test_what_is_no_guard_is_a_table_that_exists() -> None:
    for key, names in NO_GUARDS.items():
        (path,) = (each for each in MODULES if each.as_posix().endswith(f"/{key}.py"))
        assigned = {
            ast.unparse(each.targets[0] if isinstance(each, ast.Assign) else each.target)
            for each in ast.parse(path.read_text()).body
            if isinstance(each, ast.Assign | ast.AnnAssign)
        }
        assert set(names.split()) <= assigned
