"""The flows of the product, each as what clients and Lambda do, and what that brings about."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from chalicelib.services.worker import Interrupted
from tests.described import ApiAnswer
from tests.factories import AGENT_TOKEN
from tests.facts import fact_of_contact
from tests.faults.drift import plant_drift, spoil_namespace
from tests.harness import Api
from tests.manifests import (
    create_config_map_manifest,
    create_deployment_manifest,
    create_service_manifest,
)
from tests.world import World

ALICE: Final = "/api/friends/alice"
APPLY: Final = f"{ALICE}/namespace/apply"
WEB: Final = f"{ALICE}/namespace/deployments/web"
EXPOSE: Final = f"{ALICE}/namespace/expose"
ASYNC: Final = {"Prefer": "respond-async"}


@dataclass
class Attempt:
    """One run of a flow, in one process of the API. answer is what its client has seen."""

    world: World
    api: Api
    answer: ApiAnswer | None = None

    @property
    def was_acknowledged(self) -> bool:
        """Whether the client was told that it is done, or will be."""
        return self.answer is not None and 200 <= self.answer.status < 300

    def call(self, method: str, url: str, body: Any = None, **options: Any) -> None:
        """Send the flow's request."""
        self.answer = self.api.call(method, url, json_body=body, **options)

    def deliver(self) -> None:
        """Deliver what was dispatched, once."""
        try:
            self.api.deliver(self.world.invocations)
        except Interrupted:
            # Lambda would repeat it, and may not: what matters here is that nobody needs that.
            self.world.invocations.clear()


@dataclass(frozen=True)
class Flow:
    """A flow, and what its client may count on once it is acknowledged.

    adds are facts, removes what the facts that go start with. prepare is what came before.
    is_partial says that a part of it may be done when it was not acknowledged, and was_accepted
    that it was acknowledged long ago.
    """

    name: str
    run: Callable[[Attempt], None]
    adds: tuple[str, ...] = ()
    removes: tuple[str, ...] = ()
    prepare: Callable[[World], None] = field(default=lambda _: None)
    is_partial: bool = False
    was_accepted: bool = False


def _register(attempt: Attempt) -> None:
    contact = {"discord_id": "3" * 18, "signal": "+491700000003"}
    body = {"id": "carol", "display_name": "Carol", **contact}
    attempt.call("POST", "/api/friends", body, token=AGENT_TOKEN)


def _register_with_key(attempt: Attempt) -> None:
    body = {"id": "carol", "display_name": "Carol"}
    attempt.call("POST", "/api/friends", body, headers={"Idempotency-Key": "k1"})


def _update(attempt: Attempt) -> None:
    changes = {"display_name": "Bobby", "discord_id": "2" * 18, "whatsapp": None}
    attempt.call("PUT", "/api/friends/bob", changes)


def _provision(attempt: Attempt) -> None:
    attempt.call("POST", f"{ALICE}/namespace/provision")


def _apply(attempt: Attempt) -> None:
    attempt.call("POST", APPLY, _manifests())


def _apply_async(attempt: Attempt) -> None:
    attempt.call("POST", APPLY, _manifests(), headers=ASYNC)
    attempt.deliver()


def _apply_web(world: World) -> None:
    assert world.start().post(APPLY, create_deployment_manifest()).status == 200


def _delete_object(attempt: Attempt) -> None:
    attempt.call("DELETE", WEB)


def _delete_object_behind(attempt: Attempt) -> None:
    attempt.api.post(APPLY, create_deployment_manifest(replicas=2), headers=ASYNC)
    attempt.call("DELETE", WEB)
    attempt.deliver()


def _apply_and_wait(attempt: Attempt) -> None:
    attempt.call("POST", f"{APPLY}?wait=ready", create_deployment_manifest())
    attempt.deliver()
    if attempt.answer is not None and attempt.was_acknowledged:
        # A read checks its rollout.
        attempt.api.get(attempt.answer.json["operation"]["url"])


def _expose(attempt: Attempt) -> None:
    attempt.call("POST", EXPOSE, {"name": "shop", "service": "web"})


def _take_down(attempt: Attempt) -> None:
    attempt.call("DELETE", f"{EXPOSE}/app")


def _delete(attempt: Attempt) -> None:
    attempt.call("DELETE", f"{ALICE}?confirm=alice")
    attempt.deliver()


def _befriend(attempt: Attempt) -> None:
    attempt.call("PUT", "/api/friends/bob/agents/tofu", {"status": "active"})


def _unfriend(attempt: Attempt) -> None:
    attempt.call("DELETE", f"{ALICE}/agents/mochi")


def _reconcile(attempt: Attempt) -> None:
    attempt.api.reconcile()
    attempt.deliver()


def _manifests() -> list[Any]:
    return [
        create_config_map_manifest("pages", data={"colour": "red"}),
        create_config_map_manifest("settings"),
        create_service_manifest("api"),
    ]


_CAROL = {"discord_id": "3" * 18, "signal": "+491700000003"}
_APPLIED: Final = (
    'alice has ConfigMap pages {"colour": "red"}',
    'alice has ConfigMap settings {"colour": "blue"}',
    "alice has Service api {}",
)
_REPLACED: Final = ("alice has ConfigMap pages",)

FLOWS: Final = (
    Flow(
        "register",
        _register,
        adds=(fact_of_contact("carol", "Carol", **_CAROL), "carol knows mochi: active"),
    ),
    Flow("register, with a key", _register_with_key, adds=(fact_of_contact("carol", "Carol"),)),
    Flow(
        "update",
        _update,
        adds=(fact_of_contact("bob", "Bobby", discord_id="2" * 18, signal="+491701234567"),),
        removes=("bob is",),
    ),
    Flow("provision", _provision, prepare=spoil_namespace),
    Flow("apply", _apply, adds=_APPLIED, removes=_REPLACED, is_partial=True),
    Flow("apply, async", _apply_async, adds=_APPLIED, removes=_REPLACED, is_partial=True),
    Flow("apply, wait=ready", _apply_and_wait, adds=("alice has Deployment web {}",)),
    Flow(
        "delete object", _delete_object, removes=("alice has Deployment web",), prepare=_apply_web
    ),
    Flow(
        "delete object, behind an apply",
        _delete_object_behind,
        removes=("alice has Deployment web",),
        prepare=_apply_web,
    ),
    Flow("expose", _expose, adds=("alice exposes shop: web:80",)),
    Flow("un-expose", _take_down, removes=("alice exposes app",)),
    Flow("delete friend", _delete, removes=("alice ",)),
    Flow("relationship", _befriend, adds=("bob knows tofu: active",)),
    Flow("no relationship", _unfriend, removes=("alice knows mochi",)),
    Flow(
        "reconcile",
        _reconcile,
        adds=('bob has ConfigMap late {"colour": "blue"}',),
        removes=("erin ",),
        prepare=plant_drift,
        was_accepted=True,
    ),
)
