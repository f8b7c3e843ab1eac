"""The friends' routes: HTTP in, services/friends, HTTP out."""

import base64
import binascii
from collections.abc import Mapping
from functools import partial
from typing import Final

from chalicelib.domain.errors import ApiError, Fault, InvalidInput, NotFound
from chalicelib.domain.fields import (
    FRIEND_ID,
    NewFriend,
    parse_contact_changes,
    parse_friendship_status,
    parse_identity,
    parse_new_friend,
)
from chalicelib.domain.model import Identity, JsonObject, Platform
from chalicelib.domain.presentation import (
    etag_of,
    present_friend,
    present_friendship,
    present_record,
)
from chalicelib.routes.answer_size import fitting
from chalicelib.routes.http import Answer, Request, invalid
from chalicelib.routes.idempotency import Attempt, once
from chalicelib.routes.services import Services
from chalicelib.services.friends import Outcome

_MOST_FRIENDS: Final = 10_000
_LARGEST_PAGE: Final = 1_000
_IDENTITY_PARAMETERS: Final = tuple(platform.field for platform in Platform)


def list_friends(services: Services, request: Request) -> Answer:
    """GET /api/friends: all that fit, a page of them, or the one behind a platform id."""
    request.only_parameters("limit", "cursor", *_IDENTITY_PARAMETERS)
    identity = _identity(request)
    if identity is not None:
        found = services.friends.find(request.principal, identity)
        return Answer([] if found is None else [present_friend(found)])
    limit = request.whole_number("limit", least=1, most=_LARGEST_PAGE)
    page = services.friends.list_page(
        request.principal, limit=limit or _MOST_FRIENDS, after=_after(request)
    )
    shown = fitting([present_friend(friend) for friend in page.friends])
    after = page.after if len(shown) == len(page.friends) else shown[-1]["id"]
    headers = {}
    if after is not None:
        link = request.link_to_next(limit=limit or _LARGEST_PAGE, cursor=_cursor(after))
        headers["Link"] = link
    return Answer(shown, headers=headers)


def create_friend(services: Services, request: Request) -> Answer:
    """POST /api/friends: register a friend; 202 while an upstream could not do its part."""
    request.only_parameters()
    body = request.json_object()
    new = parse_new_friend(body, services.friends.cluster_names)
    run = partial(_create, services, request, new)
    return once(services.answers, request, body, run, partial(_permit, services, request, new))


def get_friend(services: Services, request: Request) -> Answer:
    """GET /api/friends/{id}: everything that is recorded about one friend."""
    request.only_parameters()
    record = services.access.load(request.principal, request.friend_id())
    return Answer(present_record(record), headers={"ETag": etag_of(record.friend)})


def update_friend(services: Services, request: Request) -> Answer:
    """PUT /api/friends/{id}: merge the fields that the body names."""
    friend_id, if_match = request.friend_id(), request.entity_tags()
    request.only_parameters()
    changes = parse_contact_changes(request.json_object())
    outcome = services.friends.update(request.principal, friend_id, changes, if_match=if_match)
    return _changed(outcome, 200)


def put_friendship(services: Services, request: Request) -> Answer:
    """PUT /api/friends/{id}/agents/{agent_id}: what an agent is to a friend."""
    friend_id, agent_id = request.friend_id(), request.agent_id()
    request.only_parameters()
    status = parse_friendship_status(request.json_object())
    friendship = services.friends.set_friendship(request.principal, friend_id, agent_id, status)
    return Answer({"ok": True, **present_friendship(friendship)})


def delete_friendship(services: Services, request: Request) -> Answer:
    """DELETE /api/friends/{id}/agents/{agent_id}: nothing, from now on."""
    friend_id, agent_id = request.friend_id(), request.agent_id()
    request.only_parameters()
    request.no_body()
    services.friends.remove_friendship(request.principal, friend_id, agent_id)
    return Answer({"ok": True})


def _create(services: Services, request: Request, new: NewFriend, attempt: Attempt) -> Answer:
    outcome = services.friends.register(
        request.principal, new, request=attempt.record, deadline=request.deadline
    )
    location = {"Location": request.reference_to(f"/api/friends/{outcome.friend.id}")}
    return _changed(outcome, 201, location)


def _permit(services: Services, request: Request, new: NewFriend) -> None:
    """Refuse a kept answer about a friend to an agent that was blocked since."""
    try:
        services.access.load(request.principal, new.id)
    except NotFound:
        return


def _changed(outcome: Outcome, status: int, headers: Mapping[str, str] | None = None) -> Answer:
    """Return the answer to a change: 202 instead of status while some of it is pending."""
    body: JsonObject = {"ok": True, **present_friend(outcome.friend)}
    if outcome.pending:
        body["pending"] = [_pending(part, error) for part, error in outcome.pending.items()]
        status = 202
    return Answer(body, status, {"ETag": etag_of(outcome.friend), **(headers or {})})


def _pending(part: str, error: ApiError) -> JsonObject:
    return {"part": part, "error": error.message, "code": error.code}


def _identity(request: Request) -> Identity | None:
    given = [name for name in request.query if name in _IDENTITY_PARAMETERS]
    if not given:
        return None
    if len(request.query) > 1:
        message = f"Look up by one of {', '.join(_IDENTITY_PARAMETERS)}, without other parameters."
        raise InvalidInput(message, faults=tuple(Fault(f"?{name}", message) for name in given))
    platform = next(each for each in Platform if each.field == given[0])
    return parse_identity(platform, request.parameter(given[0]) or "")


def _cursor(after: str) -> str:
    return base64.urlsafe_b64encode(after.encode()).decode().rstrip("=")


def _after(request: Request) -> str | None:
    cursor = request.parameter("cursor")
    if cursor is None:
        return None
    try:
        after = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        text = after.decode("ascii")
    except (binascii.Error, ValueError):
        text = ""
    if not FRIEND_ID.fullmatch(text):
        message = "cursor must be the one from the Link header of the page before."
        raise invalid("?cursor", message)
    return text
