"""Leases for work on a friend's operations or on a host name, and how long work may go on.

A lease and the moment at which work under it has to end are made together, before the lease is
asked for: what the asking takes is time of the lease, too.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from chalicelib.domain.deadline import Deadline
from chalicelib.domain.model import Lease

# Longer than API Gateway lets a request run, and shorter than Lambda's pause before it repeats a
# failed event (a minute): a repeat finds the lease of the runner that died run out.
LEASE_SECONDS: Final = 45


@dataclass(frozen=True)
class Term:
    """A lease, and the end of it on this process's own clock."""

    lease: Lease
    ends: Deadline

    @property
    def owner(self) -> str:
        """Whose lease it is."""
        return self.lease.owner

    def bound(self, deadline: Deadline, *, slack_seconds: float) -> Deadline:
        """Return the deadline of work under the lease, which outlasts the work by the slack."""
        return deadline.within(self.ends.remaining_seconds - slack_seconds)


def new_term(owner: str, now: Callable[[], datetime]) -> Term:
    """Return a term that starts now. Ask for its lease after this, never before."""
    ends = Deadline.after(LEASE_SECONDS)
    return Term(Lease(owner, int(now().timestamp()) + LEASE_SECONDS), ends)
