"""The tokens document: what is half understood lets nobody in (threat I06)."""

import hashlib
from typing import Any

import pytest

from chalicelib.domain.errors import UpstreamFailed
from chalicelib.domain.tokens import parse_token_records
from tests.factories import ADMIN_TOKEN, create_token_record, create_tokens_document

DIGEST = "ab" * 32
PLACEHOLDERS = ("", "changeme", "change-me", "placeholder", "secret", "token", "admin")


def parse(**fields: Any) -> None:
    parse_token_records(create_tokens_document(create_token_record(ADMIN_TOKEN, **fields)))


def test_a_well_formed_record_is_read() -> None:
    parse(sha256=DIGEST, expires_at="2026-11-24T09:00:00+00:00")
    parse(role="agent", agent_id="mochi")


@pytest.mark.parametrize(
    "fields",
    [
        *({"sha256": each} for each in (DIGEST.upper(), DIGEST[2:], "", "g" * 64, None)),
        *({"sha256": hashlib.sha256(each.encode()).hexdigest()} for each in PLACEHOLDERS),
        {"role": "agent"},
        {"agent_id": "mochi"},
        {"role": "agent", "agent_id": "Mochi"},
        {"role": "agent", "agent_id": ""},
        {"role": "agent", "agent_id": 5},
        {"role": "owner"},
        {"expires_at": "2026-11-24T09:00:00"},
        {"expires_at": "tomorrow"},
        {"id": "x"},
        {"id": "ABCDEF01"},
    ],
)
def test_i06_a_record_that_is_not_well_formed_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(UpstreamFailed) as caught:
        parse(**fields)
    assert caught.value.code == "tokens_misconfigured"


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"tokens": {}}', '{"tokens": "x"}', "null"])
def test_i06_a_document_of_another_shape_is_refused(text: str) -> None:
    with pytest.raises(UpstreamFailed):
        parse_token_records(text)
