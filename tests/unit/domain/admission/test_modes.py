"""A file's mode: a number in JSON, an octal text in everybody's head, and never more than said."""

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.manifests import create_deployment_manifest
from tests.unit.domain.admission.requests import (
    Manifest,
    admitted,
    assert_mended,
    assert_refused,
    faults_of,
)

VOLUME_AT = "/spec/template/spec/volumes/0"


def with_volume(**source: Any) -> Manifest:
    return create_deployment_manifest(pod={"volumes": [{"name": "data", **source}]})


def modes(mode: Any) -> list[tuple[Manifest, str]]:
    """Return volumes with this mode in each place that has one, and where that is."""
    item = {"key": "k", "path": "p", "mode": mode}
    about = {"path": "p", "mode": mode, "fieldRef": {"fieldPath": "metadata.name"}}
    holders: list[tuple[str, Manifest]] = [
        ("configMap", {"name": "c"}),
        ("secret", {"secretName": "s"}),
        ("downwardAPI", {}),
        ("projected", {"sources": []}),
    ]
    found = [({name: {**fields, "defaultMode": mode}}, name) for name, fields in holders]
    places = [(volume, f"{name}/defaultMode") for volume, name in found]
    sources: list[tuple[str, Manifest, Manifest]] = [
        ("configMap", {"name": "c"}, item),
        ("secret", {"secretName": "s"}, item),
        ("downwardAPI", {}, about),
    ]
    for name, fields, one in sources:
        places.append(({name: {**fields, "items": [one]}}, f"{name}/items/0/mode"))
        projected = {"name": "s", "items": [one]} if name != "downwardAPI" else {"items": [one]}
        where = f"projected/sources/0/{name}/items/0/mode"
        places.append(({"projected": {"sources": [{name: projected}]}}, where))
    return places


@pytest.mark.case("K3")
@pytest.mark.parametrize(
    ("mode", "meant"),
    [
        ("0600", 0o600),
        ("0400", 0o400),
        ("600", 0o600),
        ("400", 0o400),
        ("0o600", 0o600),
        ("0644", 0o644),
        ("444", 0o444),
        ("0", 0),
        ("01777", 0o777),
        ("04755", 0o755),
        (600, 0o600),
        (644, 0o644),
        (4755, 0o755),
        ("384", 0o600),
        (384.0, 0o600),
    ],
)
def test_the_fix_of_a_files_mode_is_what_chmod_would_read(mode: Any, meant: int) -> None:
    for volume, where in modes(mode):
        pointer = f"{VOLUME_AT}/{where}"
        assert_mended(with_volume(**volume), pointer)
        (fault,) = faults_of(with_volume(**volume))
        assert fault.fix == ({"op": "replace", "path": pointer, "value": meant},)


@pytest.mark.case("K3")
@pytest.mark.parametrize(
    "mode", [-1, "-1", 800, 1000, 33_188, "420", "256", "0384", "0o8", "0x1ff", "rw", "", "٠٦٠٠"]
)
def test_a_files_mode_that_could_mean_more_has_no_fix(mode: Any) -> None:
    for volume, where in modes(mode):
        assert_refused(with_volume(**volume), f"{VOLUME_AT}/{where}")


@pytest.mark.case("K3")
@given(
    st.integers(-1, 1 << 20)
    | st.from_regex(r"0?[oO]?[0-9]{1,5}", fullmatch=True)
    | st.text("0123456789oOx-", max_size=5)
    | st.floats(0, 9999).map(round).map(float)
)
def test_no_fix_of_a_files_mode_grants_what_its_text_does_not(mode: Any) -> None:
    text = str(int(mode)) if isinstance(mode, float) else str(mode)
    octal = re.fullmatch(r"(?:0[oO])?([0-7]+)", text)
    granted = int(octal[1], 8) if octal else int(text) if text.isdigit() else 0
    if isinstance(mode, int | float) and mode <= 0o777:
        granted = int(mode)
    for fault in faults_of(with_volume(configMap={"name": "c", "defaultMode": mode})):
        for patch in fault.fix or ():
            mended = patch["value"]
            assert isinstance(mended, int)
            assert mended & ~granted == 0


@pytest.mark.parametrize("mode", [0, 0o400, 0o600, 0o644, 0o777, 400])
def test_a_number_is_a_mode_as_it_is(mode: int) -> None:
    for volume, _ in modes(mode):
        assert admitted(with_volume(**volume))
