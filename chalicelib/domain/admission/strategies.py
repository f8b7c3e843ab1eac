"""How a Deployment replaces its pods: a step must be possible, and of a bounded size."""

import re
from typing import Final

from chalicelib.domain.admission.bounds import Choice, Range, check_choice
from chalicelib.domain.admission.report import Report, add, child, remove
from chalicelib.domain.model import JsonObject

_STRATEGIES: Final = Choice(("RollingUpdate", "Recreate"))
_PERCENTAGE: Final = re.compile(r"(?:[0-9]{1,2}|100)%")
_SHARES: Final = Range(0, 100)
_DEFAULT_SHARE: Final = 25


def check_strategy(strategy: JsonObject, at: str, report: Report) -> None:
    """Refuse a strategy that the cluster would refuse, or that no tier has the pods for."""
    kind = check_choice(strategy, "type", _STRATEGIES, at, report)
    rolling, at = strategy.get("rollingUpdate"), child(at, "rollingUpdate")
    if rolling is None:
        return
    if kind == "Recreate":
        message = "rollingUpdate must be absent where the strategy is Recreate."
        report.refuse(at, message, remove(at))
        return
    surge = _check_share(rolling, "maxSurge", at, report)
    unavailable = _check_share(rolling, "maxUnavailable", at, report)
    if surge == unavailable == 0:
        pointer = child(at, "maxUnavailable")
        message = "maxUnavailable and maxSurge must not both be 0: nothing could be replaced."
        report.refuse(pointer, message, add(pointer, 1))


def _check_share(rolling: JsonObject, name: str, at: str, report: Report) -> int:
    """Return the number or percentage, as mended."""
    share = rolling.get(name, f"{_DEFAULT_SHARE}%")
    if isinstance(share, str) and _PERCENTAGE.fullmatch(share):
        return int(share.removesuffix("%"))
    if isinstance(share, int) and share == _SHARES.clamp(share):
        return share
    pointer = child(at, name)
    message = f"{name} must be a number from 0 to 100 or a percentage from 0% to 100%."
    report.refuse(pointer, message, add(pointer, f"{_DEFAULT_SHARE}%"))
    return _DEFAULT_SHARE
