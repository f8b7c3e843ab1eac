"""What a pass over everything reads holds no cycles: collecting them is time for nothing."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def collector_paused() -> Iterator[None]:
    """Leave cycles uncollected for as long as the block lasts.

    Rows and pages of lists are trees, which are freed when they are dropped. Each page is enough
    new objects to have the collector walk over all there are, which takes a quarter of a pass.
    """
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
