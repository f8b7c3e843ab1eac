"""The audit fails for what is known, and says how much it could ask about."""

from __future__ import annotations

import json
import threading
import time
from contextlib import contextmanager
from datetime import date
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest

from infra.audit import (
    ACCEPTED,
    Acceptance,
    AuditError,
    Vulnerability,
    judge,
    main,
    read_accepted,
    read_report,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

HASH = f"--hash=sha256:{'0' * 64}"
LOCK = f"six==1.0 \\\n    {HASH}\nurllib3==1.24 \\\n    {HASH}\n"
VULNERABLE = {
    "vulns": [
        {
            "id": "GHSA-mh33-7rrq-662w",
            "aliases": ["CVE-2019-11324"],
            "summary": "CA certificates are handled wrongly.",
            "affected": [
                {
                    "package": {"name": "urllib3", "ecosystem": "PyPI"},
                    "ranges": [
                        {
                            "type": "ECOSYSTEM",
                            "events": [{"introduced": "0"}, {"fixed": "1.24.2"}],
                        }
                    ],
                }
            ],
        }
    ]
}
LINE = (
    "urllib3 1.24 has CVE-2019-11324 (GHSA-mh33-7rrq-662w), fixed in 1.24.2: raise the pin, "
    "`make lock`."
)
FOUND = Vulnerability("six", "1.0", ("PYSEC-1", "CVE-1"), ())


@contextmanager
def serve_osv(
    answers: Mapping[str, Any], *, status: int = 200, seconds: float = 0
) -> Iterator[str]:
    """Answer as OSV does: {} for a package that nothing is known against."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            query = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            released.wait(seconds)
            body = json.dumps(answers.get(query["package"]["name"], {})).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    released = threading.Event()
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/v1/query"
        finally:
            released.set()
            server.shutdown()
            thread.join()


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing stands between the audit and the loopback."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.fixture
def lock(tmp_path: Path) -> str:
    path = tmp_path / "lock.txt"
    path.write_text(LOCK)
    return str(path)


def test_what_nothing_is_known_against_passes(
    lock: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with serve_osv({}) as url:
        assert main([lock, "--strict", "--osv-url", url]) == 0
    assert capsys.readouterr() == ("2 of 2 packages audited.\n", "")


def test_a_known_vulnerability_fails_and_says_what_to_do(
    lock: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with serve_osv({"urllib3": VULNERABLE}) as url:
        assert main([lock, "--osv-url", url]) == 1
    assert capsys.readouterr() == ("2 of 2 packages audited.\n", f"{LINE}\n")


def test_an_accepted_vulnerability_passes(lock: str, tmp_path: Path) -> None:
    accepted = tmp_path / "accepted.toml"
    accepted.write_text('[CVE-2019-11324]\nreason = "No TLS here."\nuntil = 9999-12-31\n')
    with serve_osv({"urllib3": VULNERABLE}) as url:
        assert main([lock, "--osv-url", url, "--accepted", str(accepted)]) == 0


@pytest.mark.parametrize(("options", "code"), [([], 0), (["--strict"], 1)])
def test_a_service_out_of_reach_fails_only_when_strict(
    lock: str, capsys: pytest.CaptureFixture[str], options: list[str], code: int
) -> None:
    with serve_osv({}) as url:
        pass
    assert main([lock, "--osv-url", url, *options]) == code
    assert capsys.readouterr().out == (
        "0 of 2 packages audited: the vulnerability service cannot be reached from here; run it "
        "where it can.\n"
    )


def test_a_service_that_fails_is_out_of_reach(
    lock: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with serve_osv({}, status=503) as url:
        assert main([lock, "--osv-url", url]) == 0
    assert "0 of 2 packages audited: the vulnerability service" in capsys.readouterr().out


def test_a_service_that_never_answers_is_not_waited_for(
    lock: str, capsys: pytest.CaptureFixture[str]
) -> None:
    begun = time.monotonic()
    with serve_osv({}, seconds=60) as url:
        assert main([lock, "--osv-url", url, "--timeout", "3"]) == 0
    assert time.monotonic() - begun < 15
    assert "0 of 2 packages audited" in capsys.readouterr().out


def test_a_lock_without_hashes_fails_with_or_without_a_service(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "lock.txt"
    path.write_text("six==1.0\n")
    with serve_osv({}) as url:
        assert main([str(path), "--osv-url", url]) == 1
    assert "does not contain a hash" in capsys.readouterr().err


def test_what_the_service_does_not_know_is_counted() -> None:
    known = {"name": "six", "version": "1.0", "vulns": []}
    result = read_report(
        {"dependencies": [known, {"name": "ours", "skip_reason": "not found"}]}, packages=2
    )
    assert str(result) == (
        "1 of 2 packages audited: the vulnerability service does not know ours; run it where "
        "it does."
    )


@pytest.mark.parametrize(
    ("today", "faults"), [(date(2026, 1, 1), 0), (date(2026, 1, 31), 0), (date(2026, 2, 1), 1)]
)
def test_an_acceptance_ends_with_its_last_day(today: date, faults: int) -> None:
    accepted = {"CVE-1": Acceptance("why", date(2026, 1, 31))}
    assert len(list(judge([FOUND], accepted, today))) == faults


def test_what_no_version_fixes_says_so() -> None:
    (fault,) = judge([FOUND], {}, date(2026, 1, 1))
    assert "no version fixes it yet" in fault


@pytest.mark.parametrize("entry", ['reason = "why"', "until = 2026-12-31", 'reason = ""'])
def test_an_acceptance_without_a_reason_or_an_end_is_refused(tmp_path: Path, entry: str) -> None:
    path = tmp_path / "accepted.toml"
    path.write_text(f"[CVE-1]\n{entry}\n")
    with pytest.raises(AuditError, match="CVE-1 needs a reason and a date"):
        read_accepted(path)


def test_what_is_accepted_here_can_be_read() -> None:
    read_accepted(ACCEPTED)


@pytest.mark.parametrize(
    ("packages", "gap"), [(0, "pin nothing for this system"), (2, "has not looked at the others")]
)
def test_an_audit_of_nothing_is_a_gap(packages: int, gap: str) -> None:
    assert gap in read_report({"dependencies": []}, packages).gap


def test_a_strict_audit_of_nothing_fails(tmp_path: Path) -> None:
    lock = tmp_path / "empty.txt"
    lock.write_text("# nothing\n")
    assert main(["--strict", str(lock)]) == 1
