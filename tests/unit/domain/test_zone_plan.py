"""Threats G07, G08, G12: what becomes of DNS records, and that others' are never touched."""

from collections.abc import Iterable
from dataclasses import replace
from itertools import count
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.domain.dns import Record, RecordChanges, RecordSpec, owner_of
from chalicelib.domain.record_plan import RecordPlan, build_record, plan_record, plan_removal
from chalicelib.domain.zone_plan import plan_zone
from tests.exposures import (
    HOST,
    OWNER,
    create_domain,
    create_exposure,
    create_record,
    create_spec,
)

CNAME = create_spec()
ADDRESS = create_spec(type="A", content="203.0.113.9")
STRANGER = "the marketing site"


@pytest.mark.parametrize(
    ("target", "kind"),
    [
        ("0a1b2c3d.cfargotunnel.com", "CNAME"),
        ("203.0.113.9", "A"),
        ("2001:db8::9", "AAAA"),
        ("203.0.113.net", "CNAME"),
    ],
)
def test_a_record_is_an_alias_or_an_address(target: str, kind: str) -> None:
    record = build_record(create_exposure(), create_domain(target=target, proxied=False))
    assert record == RecordSpec(HOST, kind, target, proxied=False, comment=OWNER)


def test_no_record_is_made_of_a_row_that_breaks_the_rules_or_on_another_domain() -> None:
    with pytest.raises(ValueError, match="breaks the rules"):
        build_record(create_exposure(hostname="bank.example"), create_domain())
    with pytest.raises(ValueError, match="another domain"):
        build_record(create_exposure(), create_domain("second.example"))


def test_an_owner_fits_the_free_plans_comment() -> None:
    assert len(owner_of("f" * 32, "n" * 20)) == 65


def test_a_record_that_is_not_there_is_created() -> None:
    assert plan_record([], CNAME, "gone") == RecordPlan(create=CNAME)


def test_g08_a_record_of_ours_that_says_it_all_is_kept_whatever_its_id() -> None:
    for known_id in (None, "r1", "other"):
        plan = plan_record([create_record()], CNAME, known_id)
        assert plan == RecordPlan(kept=create_record())
        assert plan.is_settled


def test_a_record_of_ours_of_another_type_is_made_anew() -> None:
    found = create_record("r1", type="A", content="192.0.2.1")
    assert plan_record([found], CNAME, "r1") == RecordPlan(create=CNAME, delete=("r1",))


@pytest.mark.parametrize("fields", [{"content": "old.net"}, {"proxied": False}])
def test_a_record_of_ours_that_says_something_else_is_updated(fields: dict[str, Any]) -> None:
    found = create_record("r1", **fields)
    plan = plan_record([found], CNAME, None)
    assert plan == RecordPlan(update=Record("r1", CNAME), kept=found)
    assert not plan.is_settled


@pytest.mark.parametrize(
    "fields",
    [
        {"type": "A", "content": "198.51.100.7"},
        {"type": "AAAA", "content": "2001:db8::7"},
        {"type": "CNAME"},
        {"type": "TXT"},
        {"type": "MX"},
        {"type": "NS"},
        {"type": "CNAME", "comment": owner_of("another", "my-app")},
        {"type": "CNAME", "comment": f"{OWNER} "},
        {"type": "CNAME", "comment": OWNER.upper()},
        {"type": "CNAME", "comment": ""},
    ],
)
def test_g07_beside_an_alias_nothing_of_others_may_stand(fields: dict[str, str]) -> None:
    foreign = create_record("r2", **{"comment": STRANGER, **fields})
    for found in ([foreign], [create_record(), foreign], [foreign, create_record(content="x")]):
        assert plan_record(found, CNAME, "r1") == RecordPlan(foreign=(foreign,))


@pytest.mark.parametrize(
    ("kind", "is_foreign"),
    [
        *((kind, True) for kind in ("A", "AAAA", "CNAME", "NS", "HTTPS", "SVCB")),
        *((kind, False) for kind in ("TXT", "CAA", "MX")),
    ],
)
def test_g07_beside_an_address_only_what_leads_nobody_elsewhere(
    kind: str, is_foreign: bool
) -> None:
    other = create_record("r2", type=kind, comment=STRANGER)
    plan = plan_record([other], ADDRESS, "r1")
    assert plan == (RecordPlan(foreign=(other,)) if is_foreign else RecordPlan(create=ADDRESS))


@pytest.mark.parametrize("kind", ["A", "TXT"])
def test_g07_the_known_record_without_our_comment_has_changed_hands(kind: str) -> None:
    found = create_record("r1", type=kind, comment=STRANGER)
    assert plan_record([found], ADDRESS, "r1") == RecordPlan(foreign=(found,))


def test_g12_of_several_of_ours_the_known_one_stays() -> None:
    found = [create_record(each, type="A", content=f"203.0.113.{each[1]}") for each in ("r3", "r9")]
    plan = plan_record(found, ADDRESS, "r9")
    assert (plan.kept, plan.update, plan.delete) == (found[1], None, ("r3",))
    assert not plan.is_settled


def test_g12_of_several_of_ours_the_smallest_id_stays() -> None:
    found = [create_record(each, type="A", content=f"203.0.113.{each[1]}") for each in ("r3", "r2")]
    plan = plan_record(found, ADDRESS, "gone")
    assert (plan.kept, plan.delete) == (found[1], ("r3",))
    assert plan.update == Record("r2", ADDRESS)


def test_g10_a_removal_takes_all_of_ours_and_nothing_else() -> None:
    found = [
        create_record("r2"),
        create_record("r1", comment=STRANGER),
        create_record("r3", comment=owner_of("another", "my-app")),
        create_record("r4", type="A"),
    ]
    assert [each.id for each in plan_removal(found, OWNER, HOST)] == ["r2", "r4"]


# From here on: whole zones.


def apply_changes(zone: Iterable[Record], changes: RecordChanges) -> list[Record]:
    """Do what a batch does, in its order, and refuse what Cloudflare refuses."""
    records = {each.id: each for each in zone}
    for record_id in changes.deleted:
        del records[record_id]
    for record in changes.changed:
        assert record.id in records
        records[record.id] = record
    fresh = (f"new{number}" for number in count())
    for spec in changes.created:
        beside = [each.spec.type for each in records.values() if each.spec.name == spec.name]
        assert spec.type != "CNAME" or not beside
        record_id = next(fresh)
        records[record_id] = Record(record_id, spec)
    return list(records.values())


def spec_of(name: str, owner: str, **fields: Any) -> RecordSpec:
    return create_spec(name=f"{name}-alice.x.net", comment=owner_of(owner, name), **fields)


def test_one_pass_creates_and_changes_and_leaves_the_rest_alone() -> None:
    same, other, new = (spec_of(name, "u1") for name in ("same", "other", "new"))
    zone = [
        Record("r1", same),
        Record("r2", replace(other, content="old.net")),
        Record("r3", spec_of("gone", "u2")),
    ]
    changes = plan_zone(zone, [same, other, new])
    assert changes == RecordChanges((), (Record("r2", other),), (new,))
    assert plan_zone([Record("r1", same)], [same]).is_empty


def test_g07_nothing_is_made_where_somebody_elses_record_stands() -> None:
    wanted = spec_of("web", "u1")
    ours = Record("r1", replace(wanted, content="old.net"))
    assert plan_zone([], [wanted], taken_names=[wanted.name]).is_empty
    assert plan_zone([ours], [wanted], taken_names=[wanted.name]).is_empty


def test_g07_a_comment_that_only_starts_like_ours_is_a_persons() -> None:
    comments = ("friends-api/notes", "friends-api/ do not delete", "friends-api/u1/other", "")
    zone = [
        Record(f"r{number}", replace(spec_of("web", "u1"), comment=comment))
        for number, comment in enumerate(comments)
    ]
    assert plan_zone(zone, []).is_empty


def test_g09_a_name_on_its_way_to_another_owner_is_left_alone() -> None:
    before, after = spec_of("web", "u1"), spec_of("web", "u2")
    assert plan_zone([Record("r1", before)], [before, after]).is_empty


def test_g12_the_known_duplicate_stays() -> None:
    wanted = spec_of("web", "u1", type="A", content="203.0.113.9")
    zone = [Record(each, replace(wanted, content=f"203.0.113.{each[1]}")) for each in ("r1", "r9")]
    assert plan_zone(zone, [wanted], known_ids={"r9"}) == RecordChanges(deleted=("r1",))
    assert plan_zone(zone, [wanted]).deleted == ("r9",)


OWNERS = st.sampled_from(["u1", "u2"])
SPECS = st.builds(
    spec_of,
    st.sampled_from(["a", "b", "a-b"]),
    OWNERS,
    content=st.sampled_from(["one.net", "two.net"]),
    proxied=st.booleans(),
)
STRANGERS = st.builds(
    create_spec,
    name=st.sampled_from(["a-alice.x.net", "www.x.net"]),
    type=st.sampled_from(["A", "TXT", "MX"]),
    comment=st.sampled_from(["", STRANGER, "friends-api/", "friends-api/u1/www"]),
)
ZONES = st.lists(st.one_of(SPECS, STRANGERS), max_size=8)


@given(ZONES, st.lists(SPECS, max_size=4), st.sets(st.sampled_from(["r0", "r1", "r5"])))
def test_a_plan_converges_and_never_touches_what_is_not_ours(
    observed: list[RecordSpec], wanted: list[RecordSpec], known_ids: set[str]
) -> None:
    zone = [Record(f"r{number}", spec) for number, spec in enumerate(observed)]
    others = [each for each in zone if not each.is_ours]
    owned = {(each.name, each.comment) for each in wanted}
    taken = {each.spec.name for each in zone if (each.spec.name, each.spec.comment) not in owned}
    changes = plan_zone(zone, wanted, known_ids=known_ids, taken_names=taken)
    foreign_ids = {each.id for each in others}
    assert not foreign_ids & {*changes.deleted, *(each.id for each in changes.changed)}
    after = apply_changes(zone, changes)
    assert [each for each in after if not each.is_ours] == others
    assert plan_zone(after, wanted, known_ids=known_ids, taken_names=taken).is_empty
    names = [each.name for each in wanted]
    for spec in wanted:
        if names.count(spec.name) == 1 and spec.name not in taken:
            ours = [each.spec for each in after if each.is_ours and each.spec.name == spec.name]
            assert ours == [spec]
