"""What a friend's ConfigMap may hold."""

import base64
from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.domain.admission.config_maps import check_config_map
from tests.manifests import create_config_map_manifest
from tests.unit.domain.admission import rules

assert_refused = partial(rules.assert_refused, check_config_map)
assert_mended = partial(rules.assert_refused_and_mended, check_config_map)
faults_of = partial(rules.faults_of, check_config_map)


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"data": {}},
        {"data": None},
        {"data": {"a.b-c_D": "", "k" * 253: "é\n"}},
        {"immutable": False},
        {"binaryData": {"logo": "aGk="}},
        {"binaryData": {"logo": "aGk=\r\n", "none": ""}},
    ],
)
def test_a_usual_config_map_is_admitted(fields: dict[str, Any]) -> None:
    assert faults_of(create_config_map_manifest(**fields)) == ()


def test_c04_an_immutable_config_map_is_refused() -> None:
    assert_mended(create_config_map_manifest(immutable=True), "/immutable")


@pytest.mark.parametrize("key", ["", ".", "..", "..a", "a b", "a/b", "é", "a\n", "~"])
def test_c04_a_key_of_other_characters_is_refused(key: str) -> None:
    escaped = key.replace("~", "~0").replace("/", "~1")
    assert_refused(create_config_map_manifest(data={key: "x"}), f"/data/{escaped}")
    manifest = create_config_map_manifest(data=None, binaryData={key: "aGk="})
    assert_refused(manifest, f"/binaryData/{escaped}")


def test_c04_a_key_that_is_too_long_is_not_echoed() -> None:
    assert_refused(create_config_map_manifest(data={"k" * 254: "x"}), "/data")


@pytest.mark.parametrize(
    "value", ["!", "aGk", "aGk==", "a=Gk", "====", "aGk=aGk=", "aG k", "äöü=", "a-_="]
)
def test_c04_binary_data_that_is_no_base64_is_refused(value: str) -> None:
    manifest = create_config_map_manifest(binaryData={"logo": value})
    assert_refused(manifest, "/binaryData/logo")


@given(st.binary(max_size=64))
def test_base64_is_admitted(value: bytes) -> None:
    blob = base64.b64encode(value).decode()
    assert faults_of(create_config_map_manifest(binaryData={"logo": blob})) == ()


def test_c04_a_key_is_in_one_map_only() -> None:
    manifest = create_config_map_manifest(data={"a": "x"}, binaryData={"a": "aGk="})
    assert_refused(manifest, "/binaryData/a")


LARGEST = 64 * 1024
BLOB = "aaaa" * (LARGEST // 3)
"""Base64 of 65,535 bytes."""


@pytest.mark.case("H4")
@pytest.mark.parametrize(
    ("fields", "kibibytes"),
    [
        ({"data": {"site.tar": "x" * 250_000}}, 245),
        ({"data": {"a": "x" * LARGEST}}, 65),
        ({"data": {"a": "é" * (LARGEST // 2)}}, 65),
        ({"binaryData": {"aa": BLOB}}, 65),
        ({"data": {"a": "x" * (LARGEST // 2)}, "binaryData": {"b": BLOB[:43_692]}}, 65),
        ({"data": {f"{n:0>253}": "" for n in range(260)}}, 65),
    ],
)
def test_c04_more_than_64_kib_is_refused_with_what_to_do(
    fields: dict[str, Any], kibibytes: int
) -> None:
    manifest = create_config_map_manifest(**{"data": None, **fields})
    assert_refused(manifest, "")
    message = rules.the_fault_of(check_config_map, manifest).message
    assert message == (
        f"A ConfigMap may hold 64 KiB at most, and this one holds {kibibytes} KiB: the UTF-8 bytes"
        " of its keys and values, binaryData decoded. Split it, put the files into the image, or"
        " fetch them when the container starts."
    )


@pytest.mark.parametrize(
    "fields",
    [
        {"data": {"a": "x" * (LARGEST - 1)}},
        {"data": {"aa": "é" * (LARGEST // 2 - 1)}},
        {"data": None, "binaryData": {"a": BLOB}},
        {"data": None, "binaryData": {"aaa": f"{BLOB[:-4]}aQ=="}},
    ],
)
def test_64_kib_are_admitted(fields: dict[str, Any]) -> None:
    assert faults_of(create_config_map_manifest(**fields)) == ()
