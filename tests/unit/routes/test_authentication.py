"""How often a token has the tokens document read: each read is a call."""

from collections.abc import Sequence
from datetime import UTC, datetime

import pytest

from chalicelib.domain.errors import Unauthenticated
from chalicelib.domain.tokens import TokenRecord, parse_token_records
from chalicelib.routes.authentication import authenticate
from tests.factories import ADMIN_TOKEN, create_tokens_document

RECORDS = parse_token_records(create_tokens_document())


class Tokens:
    """Keeps how fresh the records had to be."""

    def __init__(self) -> None:
        """Nobody has asked yet."""
        self.asked: list[float] = []

    def records(self, *, fresher_than_seconds: float) -> Sequence[TokenRecord]:
        """See TokenSource."""
        self.asked.append(fresher_than_seconds)
        return RECORDS


def now() -> datetime:
    return datetime(2026, 11, 24, tzinfo=UTC)


def test_i05_a_known_token_is_content_with_records_of_the_last_minute() -> None:
    tokens = Tokens()
    authenticate([f"Bearer {ADMIN_TOKEN}"], tokens, now)
    assert tokens.asked == [60]


def test_i05_an_unknown_token_has_them_read_again() -> None:
    tokens = Tokens()
    with pytest.raises(Unauthenticated):
        authenticate(["Bearer fapi_unknown-token-0123456789"], tokens, now)
    assert tokens.asked == [60, 5]
