"""A state machine: clients, Lambda, time and faults in any order, against a simple model.

A second stage shares the cluster and the zone, and the table may be lost or be put back from a
backup. Whatever any process deletes has to be proved by the table of its own stage.

In the end eleven minutes pass, nothing more is delivered, and two runs at most have to make the
world whole, so that the next one changes nothing; and it has to agree with what clients were told.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Final

import boto3
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

from chalicelib.domain.fields import identities_of
from chalicelib.services.worker import Interrupted
from tests.described import ApiAnswer
from tests.factories import ADMIN_TOKEN, AGENT_TOKEN
from tests.facts import fact_of_contact, facts_in
from tests.faults.applied import VALUE, find_deviations, operations_of
from tests.faults.evidence import remove_orphans, things_in, unproven
from tests.faults.flows import ASYNC
from tests.faults.injection import FaultySeam, NthFault, ProcessKilled
from tests.faults.model import (
    Change,
    Known,
    Model,
    State,
    befriended,
    deleted,
    exposed,
    registered,
    taken_down,
    unchanged,
    unfriended,
    updated,
)
from tests.faults.modes import Mode
from tests.faults.trial import MOST_PASSES, UNTIL_LEASES_ARE_OVER_SECONDS, reconcile
from tests.harness import Api
from tests.invariants import find_problems
from tests.manifests import (
    create_config_map_manifest,
    create_deployment_manifest,
    create_service_manifest,
)
from tests.observed import Observed
from tests.world import MAIN, OTHER, Storage, World

# "shop" of app-alice and "shop-app" of alice spell one host name.
FRIENDS: Final = st.sampled_from(["alice", "bob", "app-alice"])
EXPOSURES: Final = st.sampled_from(["app", "shop", "shop-app"])
DEPLOYMENTS: Final = st.sampled_from(["one", "two"])
# The second stage's only friend.
ELSEWHERE: Final = "zoe"
NAMES: Final = st.sampled_from(["Ann", "Ben"])
IDENTITIES: Final = st.sampled_from([None, "1" * 18, "7" * 18])
AGENTS: Final = st.sampled_from(["mochi", "tofu"])
STATUSES: Final = st.sampled_from(["active", "inactive", "blocked"])
FEW: Final = st.integers(0, 3)


class FriendsMachine(RuleBasedStateMachine):
    """One example: rules in any order, then rest."""

    def __init__(self, world: World, restore: Callable[[], None]) -> None:
        """Begin with the world as it is restored."""
        super().__init__()
        self._world = world
        restore()
        seen = Observed.of(world)
        self._foreign = seen.foreign()
        self._model = Model({each: {_known(seen, each)} for each in ("alice", "bob", "app-alice")})
        self._armed: NthFault | None = None
        self._accepted: list[tuple[str, str, str]] = []
        self._contested: set[str] = set()
        self._backup: _Backup | None = None
        self._was_restored = False

    @rule(friend_id=FRIENDS, name=NAMES, discord_id=IDENTITIES, by_agent=st.booleans())
    def register(
        self, friend_id: str, name: str, discord_id: str | None, *, by_agent: bool
    ) -> None:
        """Register a friend, or try to."""
        contact = fact_of_contact(friend_id, name, discord_id=discord_id)
        body = {"id": friend_id, "display_name": name, "discord_id": discord_id}
        change = registered(friend_id, contact, "mochi" if by_agent else None)
        token = AGENT_TOKEN if by_agent else ADMIN_TOKEN
        self._call(friend_id, change, "POST", "/api/friends", _given(body), token=token)

    @rule(friend_id=FRIENDS, name=NAMES, discord_id=IDENTITIES)
    def update(self, friend_id: str, name: str, discord_id: str | None) -> None:
        """Replace the whole contact."""
        ids = {"discord_id": discord_id, "signal": None, "whatsapp": None}
        change = updated(fact_of_contact(friend_id, name, **ids))
        body = {"display_name": name, **ids, "preferred_channel": None}
        self._call(friend_id, change, "PUT", f"/api/friends/{friend_id}", body)

    @rule(friend_id=FRIENDS, agent=AGENTS, status=STATUSES)
    def befriend(self, friend_id: str, agent: str, status: str) -> None:
        """Set a relationship."""
        url = f"/api/friends/{friend_id}/agents/{agent}"
        self._call(friend_id, befriended(agent, status), "PUT", url, {"status": status})

    @rule(friend_id=FRIENDS, agent=AGENTS)
    def unfriend(self, friend_id: str, agent: str) -> None:
        """End a relationship."""
        url = f"/api/friends/{friend_id}/agents/{agent}"
        self._call(friend_id, unfriended(agent), "DELETE", url)

    @rule(friend_id=FRIENDS)
    def provision(self, friend_id: str) -> None:
        """Provision the namespace again."""
        url = f"/api/friends/{friend_id}/namespace/provision"
        self._call(friend_id, unchanged, "POST", url)

    @rule(friend_id=FRIENDS, name=st.sampled_from(["a", "b"]), value=FEW, later=st.booleans())
    def apply(self, friend_id: str, name: str, value: int, *, later: bool) -> None:
        """Apply a ConfigMap and the Service that can be exposed, now or later."""
        data = {"value": str(value)}
        manifests = [create_config_map_manifest(name, data=data), create_service_manifest()]
        url = f"/api/friends/{friend_id}/namespace/apply"
        headers = ASYNC if later else {}
        answer = self._call(friend_id, unchanged, "POST", url, manifests, headers=headers)
        if answer is not None and answer.status < 300:
            uid = Observed.of(self._world).records[friend_id].friend.uid
            self._accepted.append((friend_id, uid, answer.json["operation"]["id"]))

    @rule(friend_id=FRIENDS, name=DEPLOYMENTS, value=FEW, later=st.booleans())
    def deploy(self, friend_id: str, name: str, value: int, *, later: bool) -> None:
        """Apply a Deployment, now or later."""
        manifest = create_deployment_manifest(name, replicas=0)
        manifest["metadata"]["labels"] = {VALUE: str(value)}
        url = f"/api/friends/{friend_id}/namespace/apply"
        headers = ASYNC if later else {}
        self._call(friend_id, unchanged, "POST", url, manifest, headers=headers)

    @rule(friend_id=FRIENDS, name=DEPLOYMENTS, later=st.booleans())
    def undeploy(self, friend_id: str, name: str, *, later: bool) -> None:
        """Delete a Deployment, now or later: also between an apply's acceptance and its run."""
        url = f"/api/friends/{friend_id}/namespace/deployments/{name}"
        headers = ASYNC if later else {}
        self._call(friend_id, unchanged, "DELETE", url, headers=headers)

    @rule(friend_id=FRIENDS, name=EXPOSURES)
    def expose(self, friend_id: str, name: str) -> None:
        """Expose the Service, if it is there."""
        url = f"/api/friends/{friend_id}/namespace/expose"
        self._call(friend_id, exposed(name), "POST", url, {"name": name, "service": "web"})

    @rule(friend_id=FRIENDS, name=EXPOSURES)
    def take_down(self, friend_id: str, name: str) -> None:
        """Take an exposure down."""
        url = f"/api/friends/{friend_id}/namespace/expose/{name}"
        self._call(friend_id, taken_down(name), "DELETE", url)

    @rule(friend_id=FRIENDS)
    def delete(self, friend_id: str) -> None:
        """Delete a friend."""
        self._call(friend_id, deleted, "DELETE", f"/api/friends/{friend_id}?confirm={friend_id}")

    @rule(number=st.integers(1, 16), mode=st.sampled_from(Mode))
    def arm(self, number: int, mode: Mode) -> None:
        """Have the so-manyth call of the next process go wrong."""
        self._armed = NthFault(number, mode)

    @rule(position=FEW, again=st.booleans())
    def deliver(self, position: int, *, again: bool) -> None:
        """Deliver one of the events, not always the oldest, and perhaps not for the last time."""
        if position >= len(self._world.invocations):
            return
        event = self._world.invocations[position]
        if not again:
            del self._world.invocations[position]
        with self._process() as seam, suppress(Interrupted):
            self._world.start(seam).run_operation(event)

    @rule()
    def drop(self) -> None:
        """Lose all events."""
        self._world.invocations.clear()

    @rule()
    def reconcile(self) -> None:
        """Run a pass."""
        with self._process() as seam:
            self._world.start(seam).reconcile()

    @rule(friend_id=FRIENDS)
    def lose_claim(self, friend_id: str) -> None:
        """Lose the claim of a friend's platform id: another friend may take it."""
        record = Observed.of(self._world).records.get(friend_id)
        for identity in identities_of(record.friend.contact) if record else ():
            claim = f"{identity.platform}#{identity.key}"
            self._contested.add(claim)
            key = {"pk": f"IDENTITY#{claim}", "sk": "CLAIM"}
            boto3.resource("dynamodb").Table(MAIN.table).delete_item(Key=key)

    @rule()
    def lose_table(self) -> None:
        """Run reconcile on an emptied table, then put everything back."""
        put_back = self._world.aws.save_items(MAIN.table)
        before = Observed.of(self._world)
        self._world.aws.clear_items(MAIN.table)
        with self._process(before) as seam:
            self._world.start(seam).reconcile()
        put_back()

    @rule()
    def back_up(self) -> None:
        """Make a backup of the table."""
        put_back = self._world.aws.save_items(MAIN.table)
        self._backup = _Backup(put_back, self._model.copy(), tuple(self._accepted))

    @rule()
    def restore(self) -> None:
        """Put the table back as it was at the backup, and nothing else."""
        if self._backup is not None:
            self._backup.put_back()
            self._model = self._backup.model.copy()
            self._accepted = list(self._backup.accepted)
            self._was_restored = True

    @rule(step=st.sampled_from(["register", "expose", "take_down", "delete", "reconcile"]))
    def elsewhere(self, step: str) -> None:
        """Have something happen in the other stage, with all that it dispatches."""
        ours, self._world.invocations[:] = list(self._world.invocations), []
        with self._process(storage=OTHER) as seam:
            api = self._world.start(seam, OTHER)
            _take_step(api, step)
            with suppress(Interrupted):
                api.deliver(self._world.invocations)
        self._world.invocations[:] = ours

    @rule(seconds=st.sampled_from([5.0, 60.0, 400.0]))
    def wait(self, seconds: float) -> None:
        """Let time pass."""
        self._world.clock.pass_seconds(seconds)

    def teardown(self) -> None:
        """Come to rest, and be judged."""
        self._world.invocations.clear()
        self._world.clock.pass_seconds(UNTIL_LEASES_ARE_OVER_SECONDS)
        if self._was_restored:
            remove_orphans(self._world)
        for storage in (MAIN, OTHER):
            self._come_to_rest(storage)
        seen, other = Observed.of(self._world), Observed.of(self._world, OTHER)
        problems = find_problems(seen, others=[other], contested=self._contested)
        assert not problems, problems
        problems = find_problems(other, others=[seen])
        assert not problems, problems
        self._judge(seen)

    def _come_to_rest(self, storage: Storage) -> None:
        runs = range(MOST_PASSES + 1)
        with self._process(storage=storage):
            changed = (reconcile(self._world, self._world.start(storage=storage)) for _ in runs)
            is_at_rest = 0 in changed
        assert is_at_rest, f"not at rest after {MOST_PASSES} runs"

    def _judge(self, seen: Observed) -> None:
        facts = facts_in(seen)
        for friend_id in self._model.friends:
            told = (each for each in facts if each.startswith(f"{friend_id} "))
            self._model.require(friend_id, frozenset(each for each in told if " has " not in each))
        for record in seen.records.values():
            assert find_deviations(seen, record) == []
        self._judge_accepted(seen)
        for name, thing in seen.foreign().items():
            assert thing == self._foreign.get(name, thing), f"the foreign {name} was touched"

    def _judge_accepted(self, seen: Observed) -> None:
        recorded = {
            (record.friend.id, record.friend.uid): {each.id for each in operations_of(record)}
            for record in seen.records.values()
        }
        for friend_id, uid, identifier in self._accepted:
            # Those of an earlier registration went with it.
            assert identifier in recorded.get((friend_id, uid), {identifier})

    def _call(
        self,
        friend_id: str,
        change: Change,
        method: str,
        url: str,
        body: Any = None,
        **options: Any,
    ) -> ApiAnswer | None:
        """Send a request, and tell the model what its client knows then."""
        answer = None
        with self._process() as seam:
            api = self._world.start(seam)
            answer = api.call(method, url, json_body=body, **options)
        if answer is not None and answer.status < 300:
            self._model.acknowledged(friend_id, change)
        elif seam.has_struck:
            self._model.uncertain(friend_id, change)
        return answer

    @contextmanager
    def _process(
        self, before: Observed | None = None, *, storage: Storage = MAIN
    ) -> Iterator[FaultySeam]:
        """Give a process its seam, with the fault that is armed, and let it die or end.

        What is gone then has to be proved by its stage's table. before is what there was, where
        the table that proves it is not the one of then.
        """
        there = things_in(before or Observed.of(self._world))
        rows = Observed.of(self._world, storage)
        seam = FaultySeam(self._world, self._armed)
        self._armed = None
        with suppress(ProcessKilled):
            yield seam
        seam.end()
        self._world.kube.clear()
        self._world.cloudflare.clear()
        after = Observed.of(self._world, storage)
        gone = there - things_in(after)
        assert unproven(gone, rows, after) == [], "deleted without evidence"


@dataclass(frozen=True)
class _Backup:
    """A backup of the table, and what clients knew when it was made."""

    put_back: Callable[[], None]
    model: Model
    accepted: tuple[tuple[str, str, str], ...]


def _take_step(api: Api, step: str) -> None:
    friend = f"/api/friends/{ELSEWHERE}"
    match step:
        case "register":
            api.post("/api/friends", {"id": ELSEWHERE, "display_name": "Zoe"})
            api.post(f"{friend}/namespace/apply", create_service_manifest())
        case "expose":
            api.post(f"{friend}/namespace/expose", {"name": "app", "service": "web"})
        case "take_down":
            api.delete(f"{friend}/namespace/expose/app")
        case "delete":
            api.delete(f"{friend}?confirm={ELSEWHERE}")
        case _:
            api.reconcile()


def _known(seen: Observed, friend_id: str) -> State:
    record = seen.records.get(friend_id)
    if record is None:
        return None
    return Known(
        next(each for each in facts_in(seen) if each.startswith(f"{friend_id} is ")),
        frozenset((each.agent_id, str(each.status)) for each in record.friendships),
        frozenset(each.name for each in record.exposures),
    )


def _given(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}
