"""One spelling of time: ISO 8601, UTC, fixed width, so that text order is time order."""

from datetime import UTC, datetime


def timestamp(moment: datetime) -> str:
    """Return the moment as 2026-11-24T09:00:00.000000Z."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def moment_of(text: str) -> datetime:
    """Return the moment of a timestamp. Raises ValueError, and TypeError for what is no text."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        msg = "A moment without its zone is none."
        raise ValueError(msg)
    return moment
