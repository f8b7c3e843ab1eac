"""The friends' routes: HTTP in, services/friends, HTTP out."""

import base64
import binascii
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Final

from chalicelib.domain.errors import ApiError, Fault, InvalidInput, NotFound
from chalicelib.domain.fields import FRIEND_ID as FRIEND_ID_PATTERN
from chalicelib.domain.fields import (
    PLATFORM_IDS,
    NewFriend,
    parse_contact_changes,
    parse_friendship_status,
    parse_identity,
    parse_new_friend,
)
from chalicelib.domain.model import Identity, Platform
from chalicelib.domain.presentation import (
    etag_of,
    present_friend,
    present_friendship,
    present_record,
)
from chalicelib.domain.rules import Rule
from chalicelib.routes.answer_size import fitting
from chalicelib.routes.declarations import AGENT_ID, FRIEND_ID, IF_MATCH, whole_number
from chalicelib.routes.http import Answer, Request
from chalicelib.routes.idempotency import Attempt, once
from chalicelib.routes.parameters import Parameter, Place
from chalicelib.routes.services import Services
from chalicelib.services.friends import Outcome, Part

if TYPE_CHECKING:  # A cold start does not load what only mypy and the description read.
    from chalicelib.domain import shown

_MOST_FRIENDS: Final = 10_000
_LARGEST_PAGE: Final = 1_000


def list_friends(services: Services, request: Request) -> Answer:
    """GET /api/friends: list all that fit, a page of them, or the one behind a platform id."""
    identity = _identity(request)
    if identity is not None:
        found = services.friends.find(request.principal, identity)
        return Answer([] if found is None else [present_friend(found)])
    limit = request.get(LIMIT)
    page = services.friends.list_page(
        request.principal,
        limit=limit or _MOST_FRIENDS,
        after=request.get(CURSOR),
        deadline=request.deadline,
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
    body = request.json_object()
    new = parse_new_friend(body, services.friends.cluster_names)
    run = partial(_create, services, request, new)
    return once(services.answers, request, body, run, partial(_permit, services, request, new))


def get_friend(services: Services, request: Request) -> Answer:
    """GET /api/friends/{id}: read everything that is recorded about one friend."""
    record = services.access.load(request.principal, request.get(FRIEND_ID))
    return Answer(present_record(record), headers={"ETag": etag_of(record.friend)})


def update_friend(services: Services, request: Request) -> Answer:
    """PUT /api/friends/{id}: merge the fields that the body names."""
    friend_id, if_match = request.get(FRIEND_ID), request.get(IF_MATCH)
    changes = parse_contact_changes(request.json_object())
    outcome = services.friends.update(request.principal, friend_id, changes, if_match=if_match)
    return _changed(outcome, 200)


def list_friendships(services: Services, request: Request) -> Answer:
    """GET /api/friends/{id}/agents: list a friend's agents."""
    record = services.access.load(request.principal, request.get(FRIEND_ID))
    return Answer([present_friendship(each) for each in record.friendships])


def put_friendship(services: Services, request: Request) -> Answer:
    """PUT /api/friends/{id}/agents/{agent_id}: say what an agent is to a friend."""
    friend_id, agent_id = request.get(FRIEND_ID), request.get(AGENT_ID)
    status = parse_friendship_status(request.json_object())
    friendship = services.friends.set_friendship(request.principal, friend_id, agent_id, status)
    body: shown.ChangedFriendship = {"ok": True, **present_friendship(friendship)}
    return Answer(body)


def delete_friendship(services: Services, request: Request) -> Answer:
    """DELETE /api/friends/{id}/agents/{agent_id}: an agent is nothing to a friend any more."""
    friend_id, agent_id = request.get(FRIEND_ID), request.get(AGENT_ID)
    services.friends.remove_friendship(request.principal, friend_id, agent_id)
    return Answer({"ok": True})


def _create(services: Services, request: Request, new: NewFriend, attempt: Attempt) -> Answer:
    outcome = services.friends.register(
        request.principal, new, request=attempt.record, deadline=request.deadline
    )
    location = {"Location": f"/api/friends/{outcome.friend.id}"}
    return _changed(outcome, 201, location)


def _permit(services: Services, request: Request, new: NewFriend) -> None:
    """Refuse a kept answer about a friend to an agent that was blocked since."""
    try:
        services.access.load(request.principal, new.id)
    except NotFound:
        return


def _changed(outcome: Outcome, status: int, headers: Mapping[str, str] | None = None) -> Answer:
    """Return the answer to a change: 202 instead of status while some of it is pending."""
    body: shown.ChangedFriend = {"ok": True, **present_friend(outcome.friend)}
    headers = {"ETag": etag_of(outcome.friend), **(headers or {})}
    if not outcome.pending:
        return Answer(body, status, headers)
    left = [_pending(part, error) for part, error in outcome.pending.items()]
    unfinished: shown.PendingFriend = {**body, "pending": left}
    return Answer(unfinished, 202, headers)


def _pending(part: Part, error: ApiError) -> "shown.Pending":
    return {"part": part, "error": error.message, "code": error.code}


def _identity(request: Request) -> Identity | None:
    given = [each for each in IDENTITIES if request.get(each) is not None]
    if not given:
        return None
    if len(request.query) > 1:
        names = ", ".join(each.name for each in IDENTITIES)
        message = f"Look up by one of {names}, without other parameters."
        faults = tuple(Fault(f"?{each.name}", message) for each in given)
        raise InvalidInput(message, faults=faults)
    return request.get(given[0])


_SPELLING: Final = dict.fromkeys(
    (Platform.SIGNAL, Platform.WHATSAPP), " (a phone in any punctuation)"
)


def _identity_parameter(platform: Platform) -> Parameter[Identity | None]:
    rule = PLATFORM_IDS[platform]
    return Parameter(
        platform.field,
        Place.QUERY,
        Rule(partial(_identity_fault, rule), rule.schema),
        f"Find the friend with this {platform.field}{_SPELLING.get(platform, '')}; alone.",
        partial(parse_identity, platform),
        None,
    )


def _identity_fault(rule: Rule, text: str) -> str | None:
    fault = rule.fault_of(text)
    hint = " In a URL, write + as %2B." if fault and text.startswith(" ") else ""
    return fault and fault + hint


def _cursor(after: str) -> str:
    return base64.urlsafe_b64encode(after.encode()).decode().rstrip("=")


def _after(cursor: str) -> str:
    after = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
    return after.decode("ascii")


def _cursor_fault(cursor: str) -> str | None:
    try:
        after = _after(cursor)
    except (binascii.Error, ValueError):
        after = ""
    if FRIEND_ID_PATTERN.fullmatch(after):
        return None
    return "must be the one from the Link header of the page before."


LIMIT: Final = whole_number("limit", "The most friends on the page.", most=_LARGEST_PAGE)
CURSOR: Final = Parameter[str | None](
    "cursor",
    Place.QUERY,
    Rule(_cursor_fault, {"type": "string", "format": "cursor"}),
    "Where the page starts: from the Link header of the page before.",
    _after,
    None,
)
IDENTITIES: Final = tuple(map(_identity_parameter, Platform))
