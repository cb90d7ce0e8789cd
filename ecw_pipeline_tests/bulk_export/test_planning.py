"""What has landed decides what is asked for; a gap is never forgotten."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecw_pipeline.bulk_export.planning import (
    ExportPlan,
    LandedType,
    plan_exports,
    types_to_reconcile,
    watermarks,
)
from ecw_pipeline_tests.builders import MONDAY, TUESDAY

WEDNESDAY = TUESDAY + timedelta(days=1)


def landed(name: str, since: datetime | None, at: datetime) -> LandedType:
    return LandedType(name, since, at)


MOMENTS = st.integers(0, 8).map(lambda hours: MONDAY + timedelta(hours=hours))
LANDED = st.lists(
    st.builds(LandedType, st.sampled_from("AB"), st.none() | MOMENTS, MOMENTS), max_size=8
)


def test_a_full_export_lifts_the_watermark_to_its_transaction_time() -> None:
    assert watermarks([landed("A", None, MONDAY)]) == {"A": MONDAY}


def test_an_incremental_export_that_leaves_no_gap_lifts_it() -> None:
    pieces = [landed("A", None, MONDAY), landed("A", MONDAY, TUESDAY)]

    assert watermarks(pieces) == {"A": TUESDAY}


def test_an_incremental_export_after_a_gap_does_not_lift_it() -> None:
    pieces = [landed("A", None, MONDAY), landed("A", TUESDAY, WEDNESDAY)]

    assert watermarks(pieces) == {"A": MONDAY}


def test_an_incremental_export_alone_is_no_watermark() -> None:
    assert watermarks([landed("A", MONDAY, TUESDAY)]) == {}


def test_a_type_does_not_lift_another() -> None:
    pieces = [landed("A", None, MONDAY), landed("B", MONDAY, TUESDAY)]

    assert watermarks(pieces) == {"A": MONDAY}


@given(LANDED, st.randoms())
def test_the_order_of_landing_does_not_matter(pieces: list[LandedType], random: object) -> None:
    shuffled = sorted(pieces, key=lambda _: random.random())  # type: ignore[attr-defined]

    assert watermarks(shuffled) == watermarks(pieces)


@given(LANDED)
def test_everything_up_to_a_watermark_is_covered(pieces: list[LandedType]) -> None:
    """Walk back from the watermark by exports that touch, as far as a full one."""
    for name, mark in watermarks(pieces).items():
        reached, spans = mark, [p for p in pieces if p.resource_type == name]
        while True:
            chain = [p for p in spans if p.transaction_time >= reached]
            if any(p.since is None for p in chain):
                break
            earlier = min(p.since for p in chain if p.since is not None)
            assert earlier < reached
            reached = earlier


@given(LANDED, st.builds(LandedType, st.sampled_from("AB"), st.none() | MOMENTS, MOMENTS))
def test_landing_more_never_lowers_a_watermark(pieces: list[LandedType], more: LandedType) -> None:
    before, after = watermarks(pieces), watermarks([*pieces, more])

    assert all(after[name] >= mark for name, mark in before.items())


def test_what_never_landed_is_asked_for_from_the_beginning() -> None:
    assert plan_exports(["A", "B"], []) == [ExportPlan(("A", "B"), None)]


def test_what_landed_is_asked_for_since_then() -> None:
    pieces = [landed("A", None, MONDAY)]

    assert plan_exports(["A"], pieces) == [ExportPlan(("A",), MONDAY)]


def test_types_of_one_export_share_the_least_watermark() -> None:
    pieces = [landed("A", None, TUESDAY), landed("B", None, MONDAY)]

    assert plan_exports(["A", "B"], pieces) == [ExportPlan(("A", "B"), MONDAY)]


def test_a_type_that_is_new_gets_its_own_full_export() -> None:
    pieces = [landed("A", None, MONDAY)]

    assert plan_exports(["A", "B"], pieces) == [
        ExportPlan(("B",), None),
        ExportPlan(("A",), MONDAY),
    ]


def test_a_type_that_is_wanted_anew_is_asked_for_from_the_beginning() -> None:
    pieces = [landed("A", None, MONDAY), landed("B", None, MONDAY)]

    assert plan_exports(["A", "B"], pieces, anew=["A"]) == [
        ExportPlan(("A",), None),
        ExportPlan(("B",), MONDAY),
    ]


def test_another_since_is_asked_for_all_types_whatever_landed() -> None:
    pieces = [landed("A", None, WEDNESDAY)]

    assert plan_exports(["A", "B"], pieces, since=TUESDAY) == [ExportPlan(("A", "B"), TUESDAY)]


@pytest.mark.parametrize(
    ("since", "next_since"),
    [
        (MONDAY, WEDNESDAY),
        (MONDAY + timedelta(hours=1), MONDAY),
    ],
)
def test_another_since_moves_the_watermark_only_if_it_leaves_no_gap(
    since: datetime, next_since: datetime
) -> None:
    pieces = [landed("A", None, MONDAY), landed("A", since, WEDNESDAY)]

    assert plan_exports(["A"], pieces) == [ExportPlan(("A",), next_since)]


def test_a_type_is_reconciled_when_its_last_full_export_is_long_ago() -> None:
    asked = {"A": MONDAY, "B": TUESDAY}

    assert types_to_reconcile(asked, WEDNESDAY, timedelta(days=2)) == {"A"}


def test_types_are_never_reconciled_where_that_is_switched_off() -> None:
    assert types_to_reconcile({"A": MONDAY}, WEDNESDAY, timedelta(0)) == frozenset()


@pytest.mark.parametrize("options", [{}, {"anew": ["A"]}, {"since": MONDAY}])
def test_nothing_wanted_is_nothing_asked(options: dict[str, Any]) -> None:
    assert plan_exports([], [landed("A", None, MONDAY)], **options) == []


@given(st.lists(st.sampled_from("ABC"), unique=True), LANDED)
def test_every_wanted_type_is_asked_for_once_and_without_a_gap(
    wanted: list[str], pieces: list[LandedType]
) -> None:
    plans = plan_exports(wanted, pieces)
    known = watermarks(pieces)

    assert sorted(name for plan in plans for name in plan.resource_types) == sorted(wanted)
    assert all(
        plan.since is None or plan.since <= known[name]
        for plan in plans
        for name in plan.resource_types
    )
