"""What the answers of Cloudflare's DNS API mean to us.

Cloudflare's text stays here: what decides is the HTTP status and the numeric codes, and where one
code has several causes, a few words of the text. There is no official list of the codes; these were
seen in Cloudflare's own repositories and issue trackers:

- 81053, 81054, 81057, 81058: a record of the name is in the way. Which of them it is has changed
  (simplesurance/cfdns#17: for identical records, 81057 became 81058).
- 81044: the record is not there. 81045: the zone is full (js-org/js.org#2873).
- 7000, 7003: no such zone, or an id that is none (timothymiller/cloudflare-ddns#152). 1049: the
  zone is no longer Cloudflare's.
- 6003, 6111, 9103, 9106, 9109, 10000, 10001: the token is malformed, unknown, or may not do this.
  9109 is also "Cannot use the access token from location: …", of a token with a client IP filter
  (jeessy2/ddns-go#1341), "Invalid access token", "Unauthorized to access requested resource", and
  "Max auth failures reached", which 10502 says, too: that passes, the others do not.
- 1004 used to wrap the code that matters in error_chain (cloudflare/cloudflare-docs#15317), which
  is therefore read, too.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

from chalicelib.domain.errors import ApiError, UpstreamFailed, UpstreamUnreachable
from chalicelib.domain.model import JsonObject
from chalicelib.ports import RecordTaken

_TAKEN: Final = frozenset({81053, 81054, 81057, 81058})
_MISSING: Final = 81044
_ZONE_FULL: Final = 81045
_NO_ZONE: Final = frozenset({1049, 7000, 7003})
_REFUSED_TOKEN: Final = frozenset({6003, 6111, 9103, 9106, 9109, 10000, 10001, 10502})
_SHUT_OUT: Final = "from location"
_UNKNOWN: Final = ("invalid access token", "invalid api token")
_TOO_MANY_FAILURES: Final = ("max auth failures", "too many authentication failures")
_REFUSED: Final = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN})
_BUSY: Final = frozenset({HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE})
# Who is over the budget is blocked for up to five minutes: developers.cloudflare.com,
# Fundamentals, API reference, "Rate limits".
_LONGEST_RETRY_AFTER: Final = 300
_RETRY_AFTER: Final = 30
_LARGEST_CODE: Final = 1_000_000


@dataclass(frozen=True)
class DnsAnswer:
    """One answer of Cloudflare's; status 0 is no answer at all.

    envelope is None where the body is no JSON object: a page of a proxy's, or far too much.
    """

    status: int
    envelope: JsonObject | None = None
    retry_after: str = ""

    @property
    def is_success(self) -> bool:
        """Whether Cloudflare did what it was asked, and says so."""
        return (
            HTTPStatus.OK <= self.status < HTTPStatus.MULTIPLE_CHOICES
            and self.envelope is not None
            and self.envelope.get("success") is True
        )

    @property
    def may_pass(self) -> bool:
        """Whether the same call may succeed a moment later."""
        return (
            self.status in {0, HTTPStatus.TOO_MANY_REQUESTS}
            or self.status >= HTTPStatus.INTERNAL_SERVER_ERROR
        )

    @property
    def is_missing(self) -> bool:
        """Whether the record that the call was about is not there."""
        return not self.is_success and _MISSING in self.codes

    @property
    def is_unauthorised(self) -> bool:
        """Whether it is the token that Cloudflare objects to. A firewall's page is not that."""
        if self.envelope is None or self.may_pass or self.is_success:
            return False
        return self.status in _REFUSED or not _REFUSED_TOKEN.isdisjoint(self.codes)

    def says(self, *words: str) -> bool:
        """Tell whether Cloudflare's text for what went wrong has any of these words."""
        texts = [str(each.get("message")).lower() for each in self._errors]
        return any(word in text for word in words for text in texts)

    @property
    def _errors(self) -> list[dict[str, Any]]:
        errors = self.envelope.get("errors") if self.envelope else None
        chained = [
            part for error in _objects(errors) for part in _objects(error.get("error_chain"))
        ]
        return [*_objects(errors), *chained]

    @property
    def codes(self) -> frozenset[int]:
        """Cloudflare's own codes for what went wrong."""
        found = [each.get("code") for each in self._errors]
        return frozenset(each for each in found if type(each) is int and 0 < each < _LARGEST_CODE)

    @property
    def retry_after_seconds(self) -> int | None:
        """How long Cloudflare asks to wait, if it does."""
        value = self.retry_after
        if self.status not in _BUSY or not (value.isascii() and value.isdigit()):
            return None
        return min(int(value[:4]), _LONGEST_RETRY_AFTER)


NO_ANSWER: Final = DnsAnswer(0)


def dns_error(answer: DnsAnswer, *, may_be_taken: bool = True) -> ApiError | RecordTaken:
    """Return our error for an answer that is not a success.

    may_be_taken says that the call writes: nothing can stand in the way of a read or a deletion.
    """
    if answer.may_pass:
        return _unreachable(answer)
    # A batch that deletes or changes what is gone is as out of date as one that is in the way.
    if may_be_taken and not answer.codes.isdisjoint({*_TAKEN, _MISSING}):
        return RecordTaken()
    if answer.is_unauthorised and _NO_ZONE.isdisjoint(answer.codes):
        return _refused_token(answer)
    return _failure(answer)


def not_understood() -> UpstreamFailed:
    """Return the error for an answer that has not the shape that Cloudflare documents."""
    msg = "Cloudflare answered with something unexpected. Try again, or ask an admin to look."
    return UpstreamFailed(msg, code="dns_failed")


def misconfigured(what: str) -> UpstreamFailed:
    """Return the error for something that nothing is sent with."""
    msg = f"The {what} is missing or malformed, so nothing was sent. Ask an admin to correct it."
    return UpstreamFailed(msg, code="dns_misconfigured")


def rate_limited(retry_after_seconds: int) -> UpstreamUnreachable:
    """Return the error for a spent request budget, Cloudflare's or our own part of it."""
    msg = "The DNS request budget is spent. Try again when Retry-After has passed."
    return UpstreamUnreachable(
        msg, code="dns_rate_limited", retry_after_seconds=retry_after_seconds
    )


def _refused_token(answer: DnsAnswer) -> ApiError:
    if answer.says(*_TOO_MANY_FAILURES):
        msg = (
            "Cloudflare has seen too many failed authentications and accepts none for a while. Try "
            "again later. If this lasts, ask an admin to store a new token."
        )
        return UpstreamUnreachable(
            msg, code="dns_unavailable", retry_after_seconds=_LONGEST_RETRY_AFTER
        )
    if answer.says(_SHUT_OUT):
        msg = (
            "The Cloudflare token has a client IP filter that excludes the API, whose addresses "
            "change. Ask an admin to store a token without that filter."
        )
    elif answer.says(*_UNKNOWN):
        msg = (
            "Cloudflare does not know the API's token: it was deleted or rolled, or has expired. "
            "Ask an admin to store a new one, with the permission Zone / DNS / Edit."
        )
    else:
        msg = (
            "Cloudflare refuses the API's token for this zone. Ask an admin to check the zone's id "
            "in the settings, and that the token is valid and has Zone / DNS / Edit for the zone."
        )
    return UpstreamFailed(msg, code="dns_auth")


def _failure(answer: DnsAnswer) -> UpstreamFailed:
    codes = answer.codes
    if not _NO_ZONE.isdisjoint(codes):
        msg = "Cloudflare knows no such zone. Ask an admin to check the zone's id in the settings."
        return UpstreamFailed(msg, code="dns_zone_unknown")
    if answer.status in _REFUSED:
        msg = (
            "Cloudflare's firewall, or a proxy in front of Cloudflare, refuses the API's requests. "
            "Ask an admin to allow them."
        )
        return UpstreamFailed(msg, code="dns_failed")
    if _ZONE_FULL in codes:
        msg = "The DNS zone is full. Ask an admin to remove records or to raise its quota."
        return UpstreamFailed(msg, code="dns_failed")
    if answer.status == HTTPStatus.BAD_REQUEST and codes:
        msg = "Cloudflare does not accept the record. Ask an admin to check the domain's settings."
        return UpstreamFailed(msg, code="dns_failed")
    return not_understood()


def _unreachable(answer: DnsAnswer) -> UpstreamUnreachable:
    if answer.status == 0:
        msg = "Cloudflare cannot be reached. Try again."
        return UpstreamUnreachable(msg, code="dns_unreachable")
    if answer.status == HTTPStatus.TOO_MANY_REQUESTS:
        return rate_limited(answer.retry_after_seconds or _RETRY_AFTER)
    wait = answer.retry_after_seconds or 5
    msg = "Cloudflare is not able to answer at the moment. Try again."
    return UpstreamUnreachable(msg, code="dns_unavailable", retry_after_seconds=wait)


def _objects(value: object) -> Iterator[dict[str, Any]]:
    return (
        (each for each in value if isinstance(each, dict)) if isinstance(value, list) else iter(())
    )
