"""Idempotency-Key: a POST that is sent again gets the first answer, and runs once."""

import hashlib
import json
import logging
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from chalicelib.domain.errors import ApiError, InvalidInput, Refused
from chalicelib.ports import AnswerStore, StoredAnswer
from chalicelib.routes.declarations import IDEMPOTENCY_KEY
from chalicelib.routes.errors import error_answer
from chalicelib.routes.http import Answer, Request

# Longer than API Gateway lets any request run (29 s).
_LEASE_SECONDS: Final = 35

_KEPT_ERRORS: Final = (InvalidInput, Refused)

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Attempt:
    """One try of a request.

    record is a name for the request that a repeat will have too, or None without a key. is_repeat
    says that an earlier try died before it could answer: its work may be there.
    """

    record: str | None = None
    is_repeat: bool = False


def once(
    answers: AnswerStore,
    request: Request,
    body: object,
    run: Callable[[Attempt], Answer],
    permit: Callable[[], object] | None = None,
) -> Answer:
    """Run the request, or answer as the first one with its Idempotency-Key was answered.

    body is the parsed body: the same JSON, spaced or ordered differently, is the same request.
    permit, where given, raises Forbidden for a caller that may not see a kept answer any more.
    Kept is whatever run returns (an apply's 422 too: its operation stands), and what it raises as
    a refusal of the request itself (400, 422); other errors depend on the state of the world and
    are decided anew, so that trying again works once that has changed.
    """
    key = request.get(IDEMPOTENCY_KEY)
    if key is None:
        return run(Attempt())
    record = f"{request.principal.token_id}#{key}"
    # Not the request's id, which a client may choose (docs.aws.amazon.com: $context.requestId).
    owner, digest = uuid.uuid4().hex, _digest(request, body)
    claim = answers.claim(record, digest, owner=owner, lease_seconds=_LEASE_SECONDS)
    if claim.answer is not None:
        if permit is not None:
            permit()
        return _replay(claim.answer, request.request_id)
    try:
        answer = run(Attempt(f"{record}#{digest}", claim.is_repeat))
    except ApiError as error:
        if not isinstance(error, _KEPT_ERRORS):
            _release(answers, record, owner)
            raise
        answer = error_answer(error, request.request_id)
    except Exception:
        _release(answers, record, owner)
        raise
    _keep(answers, record, answer, owner)
    return answer


def _keep(answers: AnswerStore, record: str, answer: Answer, owner: str) -> None:
    try:
        kept = StoredAnswer(int(answer.status), answer.headers, answer.text())
        answers.keep(record, kept, owner=owner)
    except ApiError:
        # The work is done: a repeat waits for the lease to run out, and finds it done.
        _log.warning("an answer could not be kept for its Idempotency-Key")


def _release(answers: AnswerStore, record: str, owner: str) -> None:
    try:
        answers.release(record, owner=owner)
    except ApiError:
        # What went wrong first is what the caller has to know; the lease runs out by itself.
        _log.warning("an Idempotency-Key could not be given back")


def _replay(stored: StoredAnswer, request_id: str) -> Answer:
    body = json.loads(stored.body)
    if "request_id" in body:
        body["request_id"] = request_id
    return Answer(body, stored.status, {**stored.headers, "Idempotency-Replayed": "true"})


def _digest(request: Request, body: object) -> str:
    said = [request.method, request.route, dict(request.path), dict(request.query), body]
    canonical = json.dumps(said, sort_keys=True, default=list)
    return hashlib.sha256(canonical.encode()).hexdigest()
