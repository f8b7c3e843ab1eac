"""Whose a record is, when a zone needs nothing, and what is the name of a host."""

from chalicelib.domain.dns import (
    Record,
    RecordChanges,
    RecordSpec,
    is_host_name,
    is_right_below,
    owner_of,
)


def create_record(name: str, comment: str) -> Record:
    spec = RecordSpec(name, "CNAME", "tunnel.example.net", proxied=True, comment=comment)
    return Record("r1", spec)


def test_a_record_is_ours_when_its_comment_and_its_name_belong_together() -> None:
    owner = owner_of("0b8e9d4c", "www")
    assert create_record("www-alice.example.net", owner).is_ours
    assert not create_record("mail-alice.example.net", owner).is_ours
    assert not create_record("wwwalice.example.net", owner).is_ours
    assert not create_record("www-alice.example.net", "friends-api/").is_ours
    assert not create_record("www-alice.example.net", f"{owner}, by hand").is_ours


def test_changes_of_any_kind_are_not_empty() -> None:
    record = create_record("www-alice.example.net", "")
    assert RecordChanges().is_empty
    assert not RecordChanges(deleted=["r1"]).is_empty
    assert not RecordChanges(changed=[record]).is_empty
    assert not RecordChanges(created=[record.spec]).is_empty


def test_a_host_name_has_no_more_than_253_characters() -> None:
    labels = ("a" * 49 + ".") * 5
    assert is_host_name(labels + "bbb")
    assert not is_host_name(labels + "bbbb")


def test_one_label_before_a_domain_is_right_below_it() -> None:
    assert is_right_below("site-alice.example.net", "example.net")
    for name in ("example.net", "a.apps.example.net", "notexample.net", "example.net.other"):
        assert not is_right_below(name, "example.net")
