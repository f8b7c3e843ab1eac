"""The first import of the large libraries, which wait until they are needed.

kubernetes imports requests, and parts of requests import one another. Where two threads begin such
a circle from different ends, Python hands one of them half a module, and what has failed to import
then fails for as long as the process lives. So all such imports are made under one lock.
"""

import threading
from typing import Final

FIRST_IMPORT: Final = threading.Lock()
