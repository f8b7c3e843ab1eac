"""Quantities as Kubernetes spells them."""

from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.domain.admission.quantities import format_quantity, parse_quantity
from infra.local import kube_quantities

SUFFIXES = ["", *"numkMGTPE", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei", "e3", "E3", "e-3", "E+2"]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("500m", Fraction(1, 2)),
        ("64Mi", 64 * 1024**2),
        ("1e3", 1000),
        ("1E3", 1000),
        ("1E", 10**18),
        ("2.5Gi", 5 * 2**29),
        (".5", Fraction(1, 2)),
        ("1.", 1),
        ("+1", 1),
        ("-1", -1),
        ("0", 0),
        (2, 2),
        (0.5, Fraction(1, 2)),
        (1e22, 10**22),
    ],
)
def test_b14_a_quantity_is_a_number_with_a_suffix(text: Any, value: Any) -> None:
    assert parse_quantity(text) == value


@pytest.mark.parametrize(
    "text",
    [
        "NaN",
        "inf",
        "",
        ".",
        "m",
        "1 ",
        " 1",
        "1\n",
        "1mi",
        "1KI",
        "1ki",
        "1e",
        "1e3m",
        "1,5",
        "0x10",
        "1_000",
        "٣",
        "--1",
        "1e999999999",
        "1e9999",
        "1e-9999",
        "9" * 65,
        True,
        None,
        float("nan"),
        float("inf"),
        pytest.param(10**5000, id="5000 digits"),
        ["1"],
        {"cpu": "1"},
    ],
)
def test_b14_anything_else_is_no_quantity(text: Any) -> None:
    with pytest.raises(ValueError, match=r"quantity|digits"):
        parse_quantity(text)


@given(
    st.from_regex(r"[+-]?([0-9]{1,20}\.?[0-9]{0,20}|\.[0-9]{1,20})", fullmatch=True),
    st.sampled_from(SUFFIXES),
)
def test_the_double_of_the_cluster_reads_the_same_number(number: str, suffix: str) -> None:
    text = f"{number}{suffix}"
    assert parse_quantity(text) == kube_quantities.parse_quantity(text)


@given(st.text(alphabet="0123456789.+-eEinumkKMGTP", max_size=8))
def test_the_double_of_the_cluster_refuses_the_same(text: str) -> None:
    assert is_quantity(parse_quantity, text) == is_quantity(kube_quantities.parse_quantity, text)


def is_quantity(parse: Any, text: str) -> bool:
    # Only how far an exponent may go is our own.
    if text.lower().partition("e")[2].lstrip("+-").isdigit():
        text = f"{text.lower().partition('e')[0]}e1"
    try:
        parse(text)
    except ValueError:
        return False
    return True


def test_an_amount_is_shown_in_the_unit_of_its_resource() -> None:
    assert format_quantity(Fraction(3, 2), "cpu") == "1500m"
    assert format_quantity(Fraction(1, 3000), "cpu") == "1m"
    assert format_quantity(Fraction(3 * 2**20), "memory") == "3Mi"
    assert format_quantity(Fraction(4 * 2**30), "ephemeral-storage") == "4Gi"
    assert format_quantity(Fraction(4 * 2**30 + 1), "ephemeral-storage") == "4097Mi"
