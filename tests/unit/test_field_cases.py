"""Every field case has a test, and every input its neighbours."""

import re
from pathlib import Path

import pytest

from tests.field_cases import CASES

_ROOT = Path(__file__).parent.parent
_MARK = re.compile(r"mark\.case\(([^)]*)\)")


def _marked() -> set[str]:
    texts = (path.read_text() for path in _ROOT.rglob("*.py") if path.name != Path(__file__).name)
    return {
        each
        for text in texts
        for args in _MARK.findall(text)
        for each in re.findall(r'"(\w+)"', args)
    }


@pytest.mark.parametrize("case", CASES)
def test_each_field_case_has_a_test(case: str) -> None:
    assert case in _marked()
