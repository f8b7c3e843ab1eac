"""Threats D: what the wire may carry."""

import json

import pytest

from chalicelib.domain.errors import BodyTooLarge, InvalidInput
from chalicelib.routes.strict_json import MOST_BYTES, parse_json


def test_json_is_read() -> None:
    body = '{"a": [1, -2.5e3, "ü😀\\ud83d\\ude00", true, null], "b": {}}'.encode()
    assert parse_json(body) == {"a": [1, -2500.0, "ü😀😀", True, None], "b": {}}


def test_d01_a_body_over_the_cap_is_refused_before_it_is_read() -> None:
    with pytest.raises(BodyTooLarge):
        parse_json(b"[" * (MOST_BYTES + 1))
    assert parse_json(b'"' + b"x" * (MOST_BYTES - 2) + b'"')


@pytest.mark.parametrize("deep", [b"[" * 100_000, b"[" * 40 + b"]" * 40, b'{"a":' * 33 + b"1"])
def test_d02_depth_is_refused(deep: bytes) -> None:
    with pytest.raises(InvalidInput):
        parse_json(deep)


def test_d02_the_deepest_that_is_allowed() -> None:
    assert parse_json(b"[" * 32 + b"]" * 32)
    with pytest.raises(InvalidInput, match="32"):
        parse_json(b"[" * 33 + b"]" * 33)


@pytest.mark.parametrize(
    "number",
    [
        b"NaN",
        b"Infinity",
        b"-Infinity",
        b"1e999",
        b"-1e999",
        b"9" * 5000,
        b"9" * 41,
        b"1." + b"0" * 40,
    ],
)
def test_d03_numbers_out_of_range_are_refused(number: bytes) -> None:
    with pytest.raises(InvalidInput):
        parse_json(b'{"a": ' + number + b"}")


@pytest.mark.parametrize("body", [b'{"a":1,"a":1}', b'[{"b":{"a":1,"\\u0061":2}}]'])
def test_d04_a_key_that_comes_twice_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidInput, match="twice"):
        parse_json(body)


@pytest.mark.parametrize(
    "body",
    [
        b'"\\ud800"',
        b'{"\\udfff": 1}',
        b'"a\\u0000b"',
        b'"a\x00b"',
        b'\xef\xbb\xbf{"a": 1}',
        b'"\xff"',
        b'"\xc0\x80"',
        '{"a": 1}'.encode("utf-16"),
        '{"a": 1}'.encode("utf-16-le"),
        b'"\xef\xbf"',
        b'"\xed\xa0\x80"',
        b'"\xf5\x80\x80\x80"',
    ],
)
def test_d05_text_that_is_not_plain_utf_8_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidInput):
        parse_json(body)


@pytest.mark.case("K15")
@pytest.mark.parametrize(
    "text",
    [
        "a \ufffd b",
        "\ufffd",
        "\ufffd\ufffd\ufffd",
        "\ufffe and \uffff",
        "\u2028\u2029",
        "\U0001f600 \u0001\t",
        "\ue000 \U0010ffff",
    ],
)
def test_every_character_that_unicode_has_is_taken(text: str) -> None:
    for ascii_only in (True, False):
        body = json.dumps({text: [text]}, ensure_ascii=ascii_only).encode()
        assert parse_json(body) == {text: [text]}


@pytest.mark.parametrize("body", [b"", b" ", b"{", b"{'a': 1}", b"a: 1", b"{} {}", b"[1,]"])
def test_what_is_not_json_is_refused_with_its_place(body: bytes) -> None:
    with pytest.raises(InvalidInput, match="line 1, column"):
        parse_json(body)
