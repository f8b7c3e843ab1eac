"""Every row has a test, every id in a test's name is a row's, and docs/threats.md says so."""

from collections.abc import Sequence

import pytest

from tests.threats.naming import find_tests, ids_in
from tests.threats.page import PAGE, render
from tests.threats.rows import ROWS, SECTIONS

IDS = [row.id for row in ROWS]


@pytest.mark.parametrize(
    ("name", "ids"),
    [
        ("test_a01_one", ["A01"]),
        ("test_b02_b03_b04_three", ["B02", "B03", "B04"]),
        ("test_d02_to_d05_d07_a_range_and_one", ["D02", "D03", "D04", "D05", "D07"]),
        ("test_a_name_with_l01_in_it", []),
        ("test_a1_b", []),
        ("test_names", []),
    ],
)
def test_a_tests_name_bears_its_rows(name: str, ids: Sequence[str]) -> None:
    assert ids_in(name) == ids


def test_the_rows_are_in_order_and_each_has_its_section() -> None:
    assert sorted(set(IDS)) == IDS
    assert {each[0] for each in IDS} == set(SECTIONS)


def test_every_row_has_a_test_that_make_test_runs() -> None:
    here = [test for test in find_tests() if test.elsewhere is None]
    proved = {row for test in here for row in ids_in(test.name)}
    assert [row for row in IDS if row not in proved] == []


def test_every_id_in_a_tests_name_is_a_rows() -> None:
    strangers = [test.node_id for test in find_tests() if not set(ids_in(test.name)) <= set(IDS)]
    assert strangers == []


def test_the_page_is_what_make_threats_writes_where_all_pass() -> None:
    assert PAGE.read_text() == render(find_tests(), dict.fromkeys(IDS, "passed"))
