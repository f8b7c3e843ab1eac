"""The agents' workspace in S3: friends/<id>/profile.json.

Two updates of one friend may reach S3 in either order. Each profile therefore carries the revision
of the row it was made from, and every write is conditional: an older profile never replaces a
newer one, and what an earlier friend of the same id left behind is always replaced.
"""

import hashlib
import json
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any, Final

from botocore.exceptions import ClientError

from chalicelib.domain.errors import UpstreamUnreachable
from chalicelib.domain.model import Friend, JsonObject
from chalicelib.gateways.aws import AwsClients, aws_errors, error_code
from chalicelib.ports import ProfileFate, StoredProfile

_SERVICE: Final = "S3"
_PREFIX: Final = "friends/"
_KEY: Final = re.compile(rf"{_PREFIX}([a-z0-9-]+)/profile\.json")
_TRIES: Final = 4
_LOST_RACE: Final = frozenset({"PreconditionFailed", "ConditionalRequestConflict"})
# Without the right to list a bucket, S3 answers 403 for an object that is not there.
_ABSENT: Final = frozenset({"404", "403", "NoSuchKey", "AccessDenied"})


class S3Workspace:
    """The Workspace of ports.py."""

    def __init__(self, aws: AwsClients, bucket: str) -> None:
        """Keep the clients; nothing is called yet."""
        self._aws = aws
        self._bucket = bucket

    def put_profile(
        self,
        friend: Friend,
        profile: Mapping[str, object],
        *,
        dry_run: bool = False,
        is_newest: Callable[[], bool] | None = None,
    ) -> bool:
        """See Workspace."""
        key = _key_of(friend.id)
        revision = _revision_of(friend)
        body = _body_of(profile)
        condition: JsonObject = {"IfNoneMatch": "*"}
        for attempt in range(_TRIES):
            # A new friend's profile is most likely the first; an update's is not.
            if attempt or friend.version > 1:
                found = self._head(key)
                # Asked after the look: what is written then replaces what was seen, or nothing.
                if found is not None and (
                    _is_same(found, revision, body)
                    or (_revision_in(found) > revision and not (is_newest and is_newest()))
                ):
                    return False
                condition = {"IfMatch": found["ETag"]} if found else {"IfNoneMatch": "*"}
            if dry_run or self._try_put(key, body, revision, condition):
                return True
        raise _busy()

    def list_profiles(self) -> Iterator[StoredProfile]:
        """See Workspace. A page holds a thousand."""
        query: dict[str, Any] = {"Bucket": self._bucket, "Prefix": _PREFIX}
        while True:
            with aws_errors(_SERVICE):
                page = self._aws.s3.list_objects_v2(**query)
            for each in page.get("Contents", ()):
                if found := _KEY.fullmatch(each["Key"]):
                    yield StoredProfile(found[1], each["ETag"].strip('"'))
            if not page.get("NextContinuationToken"):
                return
            query["ContinuationToken"] = page["NextContinuationToken"]

    def has_digest(self, stored: StoredProfile, profile: Mapping[str, object]) -> bool:
        """See Workspace."""
        return stored.digest == _digest_of(_body_of(profile))

    def delete_profile(self, friend: Friend) -> None:
        """See Workspace. The bucket keeps the old versions for as long as its rules say."""
        key = _key_of(friend.id)
        for _ in range(_TRIES):
            found = self._head(key)
            if found is None or _registration_of(_revision_in(found)) > friend.created_at:
                return
            if self._try_delete(key, found["ETag"]):
                return
        raise _busy()

    def drop_profile(
        self, stored: StoredProfile, registrations: Collection[str], *, dry_run: bool = False
    ) -> ProfileFate:
        """See Workspace."""
        key = _key_of(stored.friend_id)
        found = self._head(key)
        if found is None or found["ETag"].strip('"') != stored.digest:
            return ProfileFate.GONE
        revision = _revision_in(found)
        if not revision:
            return ProfileFate.NOT_OURS
        if _registration_of(revision) not in registrations:
            return ProfileFate.UNPROVED
        if dry_run or self._try_delete(key, found["ETag"]):
            return ProfileFate.DELETED
        return ProfileFate.GONE

    def _try_delete(self, key: str, etag: str) -> bool:
        # Source: "How to perform conditional deletes" in the Amazon S3 User Guide.
        with aws_errors(_SERVICE):
            try:
                self._aws.s3.delete_object(Bucket=self._bucket, Key=key, IfMatch=etag)
            except ClientError as error:
                if error_code(error) not in _LOST_RACE:
                    raise
                return False
        return True

    def _try_put(self, key: str, body: bytes, revision: str, condition: JsonObject) -> bool:
        with aws_errors(_SERVICE):
            try:
                self._aws.s3.put_object(
                    Bucket=self._bucket,
                    Key=key,
                    Body=body,
                    ContentType="application/json",
                    Metadata={"revision": revision},
                    **condition,
                )
            except ClientError as error:
                if error_code(error) not in _LOST_RACE:
                    raise
                return False
        return True

    def _head(self, key: str) -> Any:  # noqa: ANN401 - botocore's own answer, or None
        with aws_errors(_SERVICE):
            try:
                return self._aws.s3.head_object(Bucket=self._bucket, Key=key)
            except ClientError as error:
                if error_code(error) not in _ABSENT:
                    raise
                return None


def _busy() -> UpstreamUnreachable:
    msg = "Others keep writing this friend's profile.json. Try again."
    return UpstreamUnreachable(msg, code="s3_busy", retry_after_seconds=1)


def _key_of(friend_id: str) -> str:
    return f"{_PREFIX}{friend_id}/profile.json"


# What indent=2 gives where no value holds others. With an indent, json does not use its encoder in
# C, and a pass encodes every profile.
_encode_fields: Final = json.JSONEncoder(ensure_ascii=False, separators=(",\n  ", ": ")).encode


def _body_of(profile: Mapping[str, object]) -> bytes:
    return f"{{\n  {_encode_fields(profile)[1:-1]}\n}}".encode()


def _digest_of(body: bytes) -> str:
    # What S3 gives an object that was put whole and is encrypted with S3's own keys as its ETag.
    # Source: "Object" in the Amazon S3 API reference.
    return hashlib.md5(body, usedforsecurity=False).hexdigest()


def _is_same(found: Any, revision: str, body: bytes) -> bool:  # noqa: ANN401 - botocore's own answer
    """Tell whether a stored profile is this registration's and says this.

    A row's later versions need not change the profile; an edit by hand does not count up.
    """
    is_ours = _registration_of(_revision_in(found)) == _registration_of(revision)
    return is_ours and found["ETag"].strip('"') == _digest_of(body)


def _revision_in(found: Any) -> str:  # noqa: ANN401 - botocore's own answer
    return str(found["Metadata"].get("revision", ""))


def _registration_of(revision: str) -> str:
    return revision.partition("/")[0]


def _revision_of(friend: Friend) -> str:
    # Text order is age order: first the registration, then the version within it.
    return f"{friend.created_at}/{friend.version:012d}"
