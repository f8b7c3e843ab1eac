"""Look for known vulnerabilities in what the locks pin, by pip-audit.

    python -m infra.audit [--strict]

It needs PyPI. Where that cannot be reached, or does not answer for some packages, it says how many
were audited and why not all, and that alone is no failure, so that one can work offline. With
--strict, for a CI that has a network, it is.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from infra.locks import read_pins
from infra.paths import DEVELOPMENT_LOCK, LOCK, ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

ACCEPTED: Final = ROOT / "requirements" / "accepted.toml"
_TIMEOUT_SECONDS: Final = 120
_ANSWER_SECONDS: Final = 15
# pip-audit ends with an exception of its HTTP client's, or with its advice, when nobody answers as
# the service does. Whatever else it ends with is a fault of ours.
_NO_SERVICE: Final = re.compile(
    r"^(requests|urllib3|pip_audit\._service)\.\S*(Error|Timeout|Redirects)\b"
    r"|your network may be blocking"
)
_UNREACHABLE: Final = "the vulnerability service cannot be reached from here; run it where it can"


class AuditError(Exception):
    """The audit cannot be made; the message says why."""


@dataclass(frozen=True)
class Vulnerability:
    """A known vulnerability of a pinned version."""

    package: str
    version: str
    ids: tuple[str, ...]
    fixed_in: tuple[str, ...]

    def __str__(self) -> str:
        first, *others = self.ids
        ids = f"{first} ({', '.join(others)})" if others else first
        if not self.fixed_in:
            todo = "no version fixes it yet: replace the package, or see requirements/accepted.toml"
        else:
            todo = f"fixed in {', '.join(self.fixed_in)}: raise the pin, `make lock`"
        return f"{self.package} {self.version} has {ids}, {todo}."


@dataclass(frozen=True)
class Audit:
    """How many of the packages were audited, why not all (or ""), and what was found."""

    packages: int
    audited: int
    gap: str = ""
    found: tuple[Vulnerability, ...] = ()

    def __str__(self) -> str:
        return f"{self.audited} of {self.packages} packages audited{self.gap and f': {self.gap}'}."


@dataclass(frozen=True)
class Acceptance:
    """Why a vulnerability may pass, and until when."""

    reason: str
    until: date


def audit(
    locks: Sequence[Path], *, osv_url: str | None = None, timeout_seconds: float = _TIMEOUT_SECONDS
) -> Audit:
    """Ask for the vulnerabilities of everything that the locks install here.

    osv_url asks a service that speaks as OSV does, instead of PyPI. Raises AuditError.
    """
    packages = len({pin.name for lock in locks for pin in read_pins(lock) if pin.is_for_here})
    command = [sys.executable, "-m", "pip_audit", "--disable-pip", "--require-hashes"]
    command += ["--format=json", "--aliases=on", "--desc=off", "--progress-spinner=off"]
    command += [f"--timeout={_ANSWER_SECONDS}", *(f"--requirement={lock}" for lock in locks)]
    if osv_url:
        command += ["--vulnerability-service=osv", f"--osv-url={osv_url}"]
    try:
        done = subprocess.run(  # noqa: S603 (ours)
            command, capture_output=True, text=True, check=False, timeout=timeout_seconds
        )
    except subprocess.TimeoutExpired:
        gap = f"the vulnerability service has not answered within {timeout_seconds:g} seconds"
        return Audit(packages, 0, gap)
    if done.stdout:
        return read_report(json.loads(done.stdout), packages)
    last = (done.stderr.strip().splitlines() or ["pip-audit has said nothing."])[-1]
    if _NO_SERVICE.search(last):
        return Audit(packages, 0, _UNREACHABLE)
    raise AuditError(f"pip-audit failed: {last}")


def read_report(report: Mapping[str, Any], packages: int) -> Audit:
    """Return what a report of pip-audit's says of so many packages."""
    listed = report["dependencies"]
    known = [package for package in listed if "skip_reason" not in package]
    found = (
        Vulnerability(
            package["name"],
            package["version"],
            (each["id"], *sorted(each["aliases"])),
            tuple(each["fix_versions"]),
        )
        for package in known
        for each in package["vulns"]
    )
    unknown = ", ".join(package["name"] for package in listed if "skip_reason" in package)
    gaps = []
    if not packages:
        gaps.append("the locks pin nothing for this system")
    if unknown:
        whom = unknown if known else "them"
        gaps.append(f"the vulnerability service does not know {whom}; run it where it does")
    if len(listed) < packages:
        gaps.append("pip-audit has not looked at the others")
    return Audit(packages, len(known), "; ".join(gaps), tuple(found))


def read_accepted(path: Path) -> dict[str, Acceptance]:
    """Return what is accepted, by id. Raises AuditError where a reason or a date is missing."""
    accepted = {}
    for identifier, entry in tomllib.loads(path.read_text()).items():
        match entry:
            case {"reason": str(reason), "until": date() as until} if reason:
                accepted[identifier] = Acceptance(reason, until)
            case _:
                raise AuditError(f"{path.name}: {identifier} needs a reason and a date, until.")
    return accepted


def judge(
    found: Sequence[Vulnerability], accepted: Mapping[str, Acceptance], today: date
) -> Iterator[str]:
    """Yield a sentence for each vulnerability that is not accepted, or not any more."""
    for each in found:
        acceptances = [accepted[known] for known in each.ids if known in accepted]
        if not acceptances:
            yield str(each)
        elif max(acceptance.until for acceptance in acceptances) < today:
            yield f"{each} It was accepted until {acceptances[0].until}."


def main(arguments: Sequence[str] | None = None) -> int:
    """Audit the locked dependencies; print what is known against them."""
    options = _parser().parse_args(arguments)
    try:
        result = audit(
            options.locks or (LOCK, DEVELOPMENT_LOCK),
            osv_url=options.osv_url,
            timeout_seconds=options.timeout,
        )
        accepted = read_accepted(options.accepted)
    except AuditError as error:
        print(error, file=sys.stderr)  # noqa: T201 (a command's output)
        return 1
    faults = list(judge(result.found, accepted, datetime.now(UTC).date()))
    if options.strict and result.gap:
        faults.append("That is a failure with --strict.")
    print(result, flush=True)  # noqa: T201 (a command's output)
    for fault in faults:
        print(fault, file=sys.stderr)  # noqa: T201 (a command's output)
    return 1 if faults else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m infra.audit", description=main.__doc__)
    parser.add_argument("locks", nargs="*", type=Path, help="default: requirements/*.txt")
    parser.add_argument(
        "--strict", action="store_true", help="fail also where a package could not be audited"
    )
    parser.add_argument("--osv-url", help="ask a service that speaks as OSV does, not PyPI")
    parser.add_argument(
        "--timeout", type=float, default=_TIMEOUT_SECONDS, help="seconds (default: %(default)s)"
    )
    parser.add_argument("--accepted", type=Path, default=ACCEPTED, help="what may pass, and why")
    return parser


if __name__ == "__main__":
    sys.exit(main())
