"""Which end of a log is shown."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.domain.pod_logs import LogEnd, keep_end

CUTS: dict[str, tuple[bytes, int, LogEnd]] = {
    "in the second of three lines": (b"one\ntwo\nthree\n", 8, LogEnd("three\n", truncated=True)),
    "between two lines": (b"one\ntwo\nthree\n", 10, LogEnd("two\nthree\n", truncated=True)),
    "in the only line": (b"one two three", 5, LogEnd("three", truncated=True)),
    "in the last line, which is too long": (
        b"one\ntwo three\n",
        6,
        LogEnd("three\n", truncated=True),
    ),
    "in a character of two bytes": ("één".encode(), 4, LogEnd("én", truncated=True)),
    "in a character of four bytes": ("🙂🙂".encode(), 7, LogEnd("🙂", truncated=True)),
    "nowhere": (b"one\ntwo\n", 8, LogEnd("one\ntwo\n", truncated=False)),
    "nowhere, and the last character is half written": (
        "één".encode()[:3],
        99,
        LogEnd("é", truncated=False),
    ),
    "nowhere, and a byte is no text": (b"a\xffb\n", 99, LogEnd("a\ufffdb\n", truncated=False)),
}


@pytest.mark.case("K11")
@pytest.mark.parametrize("where", CUTS)
def test_the_oldest_are_cut(where: str) -> None:
    log, limit, end = CUTS[where]
    assert keep_end(log, limit) == end


@given(st.text(), st.integers(1, 40))
def test_what_is_kept_is_the_end_and_no_longer_than_allowed(text: str, limit: int) -> None:
    end = keep_end(text.encode(errors="ignore"), limit)
    assert text.encode(errors="ignore").decode().endswith(end.text)
    assert len(end.text.encode()) <= limit
    assert end.truncated == (len(text.encode(errors="ignore")) > limit)
