"""The one seam that every request to an outside system passes, on its way out of the gateways.

Here it is counted, and here a test makes it fail: before it takes effect, after it, or in place of
it. What does not pass here could neither be counted nor be proved to fail safely.
"""

import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, TypeVar

T = TypeVar("T")

_READS: Final = ("batch_get_", "get_", "head_", "list_", "query")


@dataclass(frozen=True)
class Outgoing:
    """One request on its way out: to which system, what it asks, and whether it changes anything.

    name is an operation of AWS ("put_item"), or a method and a path.
    """

    system: str
    name: str
    is_write: bool


class Seam:
    """Counts what leaves, by system. May be used from any thread."""

    def __init__(self) -> None:
        """Nothing has left yet."""
        self._lock = threading.Lock()
        self.calls: Counter[str] = Counter()
        self.writes: Counter[str] = Counter()

    def send(self, outgoing: Outgoing, request: Callable[[], T]) -> T:
        """Make the request and return what it returns."""
        with self._lock:
            self.calls[outgoing.system] += 1
            self.writes[outgoing.system] += outgoing.is_write
        return request()


class SeamedClient:
    """A client of botocore's whose every operation passes the seam.

    botocore repeats a failed request below it: what passes here is an operation, repeats included.
    """

    def __init__(self, client: object, system: str, seam: Seam) -> None:
        """Stand in front of the client."""
        self._client = client
        self._system = system
        self._seam = seam

    def __getattr__(self, name: str) -> Callable[..., Any]:
        """Return the operation with this name."""
        operation = getattr(self._client, name)
        outgoing = Outgoing(self._system, name, is_write=not name.startswith(_READS))

        def call(**arguments: Any) -> Any:  # noqa: ANN401 - botocore's own arguments and answers
            return self._seam.send(outgoing, lambda: operation(**arguments))

        return call
