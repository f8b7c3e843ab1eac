"""How long the clusters' credentials last, so that an operator renews them in time."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from chalicelib.domain.errors import ApiError
from chalicelib.ports import Clusters


@dataclass(frozen=True)
class Credentials:
    """The credentials of the configured clusters."""

    clusters: Clusters
    cluster_names: Sequence[str]
    now: Callable[[], datetime]

    def days_left(self) -> Iterator[tuple[str, int]]:
        """Yield each cluster whose credential says when it ends, and for how many whole days yet.

        A credential that has ended has fewer than none. A cluster whose kubeconfig cannot be read
        is left out: whatever needs the cluster says so.
        """
        for name in self.cluster_names:
            try:
                ends_at = self.clusters.credential_ends_at(name)
            except ApiError:
                continue
            if ends_at is not None:
                yield name, (ends_at - self.now()) // timedelta(days=1)
