"""What the views work with, in one place, so that a view takes two arguments."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from chalicelib.ports import AnswerStore, TokenSource
from chalicelib.routes.throttle import Throttle
from chalicelib.services.access import Access
from chalicelib.services.exposure import Exposures
from chalicelib.services.friends import Friends
from chalicelib.services.namespaces import Namespaces
from chalicelib.services.operations import Operations


@dataclass(frozen=True)
class Services:
    """The services and ports that the routes use. now is the current time, UTC.

    gateway_path is what the gateway's URLs have before what its events tell of them (settings).
    reserved_labels are patterns of the keys that no friend's label may have. requests throttles
    tokens, by their ids; guesses throttles addresses that send no valid one.
    """

    access: Access
    friends: Friends
    namespaces: Namespaces
    exposures: Exposures
    operations: Operations
    tokens: TokenSource
    answers: AnswerStore
    reserved_labels: tuple[str, ...]
    now: Callable[[], datetime]
    requests: Throttle
    guesses: Throttle
    gateway_path: str = ""
