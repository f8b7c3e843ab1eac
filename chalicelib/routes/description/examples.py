"""Real answers, by the name of the view."""

from typing import Any, Final

EXAMPLES: Final[dict[str, Any]] = {}
