"""Whether manifests may be sent to a friend's namespace: pure rules, every fault at once."""

from collections.abc import Sequence
from typing import Final

from chalicelib.domain.model import JsonObject
from chalicelib.domain.tiers import Tier

MOST_MANIFESTS: Final = 100
# An answer that tells every fault of the worst body would be larger than Lambda can return.
MOST_FAULTS: Final = 500


def admit(
    manifests: Sequence[tuple[str, object]],
    *,
    friend_id: str,
    tier: Tier,
    reserved_labels: Sequence[str],
    harden: bool = False,
) -> tuple[JsonObject, ...]:
    """Return the manifests as they may be sent to the friend's namespace.

    Each comes as its JSON pointer in the request's body and its parsed JSON. What goes back is new:
    apiVersion, metadata.namespace and automountServiceAccountToken are always there; with harden,
    what the restricted Pod Security Standard requires is filled in where it is absent.
    reserved_labels are patterns of keys, such as grafana_*, that no label may have.

    Raises ManifestsRefused with what is wrong with all manifests: for each what its fields are,
    then what the rules say. The fixes may be applied all together, in that order.
    """
    # The rules are two dozen modules, which other requests need not wait for.
    from chalicelib.domain.admission.judgement import judge  # noqa: PLC0415 - as it says

    return judge(
        manifests,
        friend_id=friend_id,
        tier=tier,
        reserved_labels=reserved_labels,
        harden=harden,
    )
