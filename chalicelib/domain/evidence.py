"""What the table keeps of things that are gone: the proof that their remains may be deleted.

A uid is random and made here, so that no other deployment's things can be in it. What is ours by
its label alone proves nothing: the table may have been emptied, or it may be another stage's.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Tombstone:
    """A friend who was deleted: this registration never comes back. Kept for good.

    created_at is when they were registered, deleted_at when the deletion ended; ISO 8601, UTC.
    """

    friend_id: str
    uid: str
    cluster: str
    created_at: str
    deleted_at: str


@dataclass(frozen=True)
class RemovedExposure:
    """An exposure that was removed; kept until its record and its route have been seen gone.

    free_at is when its host name is free for others, in seconds since the epoch.
    """

    hostname: str
    friend_id: str
    uid: str
    exposure: str
    free_at: int
