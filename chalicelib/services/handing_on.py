"""How an operation gets an invocation of its own: as well as can be, because it is recorded."""

import logging

from chalicelib.domain.errors import ApiError
from chalicelib.domain.operations import Operation
from chalicelib.ports import Dispatcher

_log = logging.getLogger(__name__)


def hand_on(dispatcher: Dispatcher, operation: Operation) -> None:
    """Start an invocation for the operation; where that fails, log it and go on.

    The friend's next operation takes it along then. Safe to repeat.
    """
    try:
        dispatcher.dispatch(operation.friend_id, operation.id)
    except ApiError as error:
        extra = {"operation": operation.id, "code": error.code}
        _log.error("an operation could not be dispatched", extra=extra)
