"""One friend's world, brought back to what is recorded: the code that requests run, part by part.

A part that cannot be converged now does not keep the others from it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from chalicelib.domain.claims import claims_of
from chalicelib.domain.deadline import Deadline
from chalicelib.domain.model import Exposure, FriendRecord, NameClaim, Phase
from chalicelib.domain.operations import operation_id
from chalicelib.domain.ownership import friend_not_found
from chalicelib.domain.plan import Result
from chalicelib.domain.presentation import build_profile
from chalicelib.domain.reconciliation import Finding, Findings, Part, damaged_row
from chalicelib.ports import (
    Dispatcher,
    ExposureStore,
    FriendStore,
    Inventory,
    OperationStore,
    Workspace,
)
from chalicelib.services.attempting import attempt
from chalicelib.services.provisioning import Provisioner
from chalicelib.services.publishing import Publisher
from chalicelib.services.rollout_status import RolloutStatus


@dataclass(frozen=True)
class Convergence:
    """Converges friends, each by themselves."""

    friends: FriendStore
    inventory: Inventory
    provisioner: Provisioner
    workspace: Workspace
    publisher: Publisher
    exposure_store: ExposureStore
    operations: OperationStore
    rollouts: RolloutStatus
    dispatcher: Dispatcher
    now: Callable[[], datetime]

    def converge(
        self,
        friend_id: str,
        parts: frozenset[Part],
        deadline: Deadline,
        *,
        dry_run: bool,
        must_exist: bool = False,
    ) -> Findings:
        """Converge these parts of the friend's world and return what was found. Safe to repeat.

        A friend who is gone needs nothing, and one who is being deleted only their operations.
        """
        findings = Findings()
        record = attempt(findings, partial(self._load, friend_id, must_exist), of=friend_id)
        if record is not None:
            findings.failed += map(damaged_row, record.damaged)
            _OneFriend(self, record, findings, deadline, dry_run).converge(parts)
        return findings

    def _load(self, friend_id: str, must_exist: bool) -> FriendRecord | None:  # noqa: FBT001 - a pass-through
        record = self.friends.load(friend_id)
        if record is None and must_exist:
            raise friend_not_found()
        return record


@dataclass(frozen=True)
class _OneFriend:
    """One friend, as just loaded, and what is found of them."""

    to: Convergence
    record: FriendRecord
    findings: Findings
    deadline: Deadline
    dry_run: bool

    def converge(self, parts: frozenset[Part]) -> None:
        if self.record.friend.phase is not Phase.DELETING:
            steps = {
                Part.CLAIMS: self._claims,
                Part.NAMESPACE: self._namespace,
                Part.PROFILE: self._profile,
            }
            for part, step in steps.items():
                if part in parts:
                    self._attempt(step)
            if Part.NAMESPACE in parts:
                self._attempt(self._phase)
            if parts & {Part.ROUTES, Part.RECORDS}:
                for exposure in self.record.exposures:
                    self._attempt(partial(self._exposure, exposure, Part.RECORDS in parts))
        if Part.OPERATIONS in parts:
            self._attempt(self._operations)

    def _claims(self) -> None:
        friend, exposures = self.record.friend, self.record.exposures
        lost = claims_of(friend, exposures) - set(self.to.inventory.claims(friend.id).in_force)
        # Each by itself: one name that is another's by now must not cost the friend the others.
        identities = [each for each in lost if each.kind == "identity"]
        self._claim_again(identities, partial(self.to.friends.claim_identities, friend))
        for exposure in exposures:
            hosts = [each for each in lost if each.name == exposure.hostname]
            self._claim_again(hosts, partial(self._reclaim, exposure))

    def _reclaim(self, exposure: Exposure) -> None:
        self.to.exposure_store.reclaim(exposure, self.to.now().timestamp())

    def _claim_again(self, lost: Sequence[NameClaim], claim: Callable[[], None]) -> None:
        def claim_and_note() -> None:
            if not self.dry_run:
                claim()
            for each in sorted(lost, key=lambda each: each.name):
                self._note(f"claim of {each.kind} {each.name} made again", "claimed")

        if lost:
            self._attempt(claim_and_note)

    def _namespace(self) -> None:
        provision = self.to.provisioner.provision
        for change in provision(self.record.friend, self.deadline, dry_run=self.dry_run):
            if change.result is not Result.UNCHANGED:
                what = f"{change.ref.kind.name} {change.ref.name} {change.result}"
                self._note(what, change.result)

    def _profile(self) -> None:
        friend, put = self.record.friend, self.to.workspace.put_profile
        profile, is_newest = build_profile(friend), self._is_as_loaded
        if put(friend, profile, dry_run=self.dry_run, is_newest=is_newest):
            self._note("profile.json written", "written")

    def _is_as_loaded(self) -> bool:
        """Tell whether the friend's row is as it was: a profile newer than that is from no row.

        A row that was put back from a backup leaves one, and so does who writes one by hand.
        """
        record = self.to.friends.load(self.record.friend.id)
        return record is not None and record.friend == self.record.friend

    def _phase(self) -> None:
        """Record that the friend's world is whole, or that a person has to look at it.

        What could not be done now leaves the phase as it is: the next pass tries again.
        """
        phase = self.record.friend.phase
        wanted = Phase.DEGRADED if self.findings.refused else Phase.READY
        if self.findings.failed or phase is wanted:
            return
        if not self.dry_run:
            self.to.friends.mark(self.record.friend, wanted)
        self._note(f"phase {phase} became {wanted}", wanted)

    def _exposure(self, exposure: Exposure, record_too: bool) -> None:  # noqa: FBT001 - bound by position in partial
        differing = self.to.publisher.restore(
            self.record.friend,
            exposure,
            self.deadline,
            record_too=record_too,
            dry_run=self.dry_run,
        )
        for what in differing:
            self._note(f"{what} restored", "restored")

    def _operations(self) -> None:
        friend, queue = self.record.friend, self.record.queue
        if not queue.is_drained and not queue.is_held(self.to.now().timestamp()):
            identifier = operation_id(friend, queue.finished + 1)
            if not self.dry_run:
                self.to.dispatcher.dispatch(friend.id, identifier)
            self._note(f"operation {identifier} started again", "dispatched")
        if not self.dry_run:
            self._rollouts()

    def _rollouts(self) -> None:
        """Check the rollouts that operations wait for. One that is over is counted no longer."""
        friend, operations = self.record.friend, self.to.operations
        counted = {operation_id(friend, each): each for each in self.record.queue.waiting}
        listed = self.to.inventory.watched(friend.id)
        names = [*counted, *(each.operation_id for each in listed if each.uid == friend.uid)]
        found = {each: operations.find(friend, each) for each in dict.fromkeys(names)}
        waiting = [each for each in found.values() if each and (each.is_watched or each.is_lost)]
        self.to.rollouts.check(friend, waiting, self.deadline)
        left = {each.id for each in waiting}
        for identifier, sequence in counted.items():
            if identifier not in left:
                # A row that was put back from a backup counts what is over since.
                operations.forget_unfinished(friend, sequence)

    def _note(self, what: str, code: str) -> None:
        self.findings.repaired.append(Finding(self.record.friend.id, what, code))

    def _attempt(self, step: Callable[[], None]) -> None:
        attempt(self.findings, step, of=self.record.friend.id)
