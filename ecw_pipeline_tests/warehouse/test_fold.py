"""The warehouse beside the plain fold: any exports, in any order, loaded again and changed."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecw_pipeline.fhir.instants import format_instant
from ecw_pipeline.warehouse.merge import Moved
from ecw_pipeline_tests.warehouse.plain_fold import Span, plain_fold
from ecw_pipeline_tests.warehouse.versions import (
    PRACTICE,
    STATE,
    Books,
    Brought,
    ann,
    books,
    brought,
    day,
    part,
)

HOURS = 8
IDS = ("ann", "bob", "cyd", "dee")
# Changes, repeats, a delete, a return, a late old version, a duplicate, an absence, a line that
# cannot be read and one with elements left out.
SIX = (
    replace(brought(1, ann("Smith", 1, "Ann"), ann("Ash", 1, name="bob")), is_complete=True),
    brought(3, ann("Jones", 3, "Ann", "Mary"), deleted=["bob"]),
    brought(2, ann("Smith", 1, "Ann"), ann("Elm", 2, name="cyd"), ann("Elm", 2, name="cyd")),
    brought(5, ann("Ash", 5, "Bob", name="bob"), ann("Oak", None, name="dee"), deleted=["cyd"]),
    replace(
        brought(6, ann("Jones", 3, "Ann", "Mary"), ann("Odd", 6, name="dee")),
        is_complete=True,
        refused=frozenset({2}),
    ),
    brought(7, ann("Ash", 5, "Bob", name="bob"), part(ann("Part", 7)), ann("Elm", 7, name="cyd")),
)
Rows = dict[str, Counter[tuple[Any, ...]]]


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Books]:
    with books(tmp_path_factory.mktemp("fold")) as one:
        yield one


@pytest.fixture(scope="module")
def dump_of_six(warehouse: Books) -> str:
    """Every row there is after the six exports, in order."""
    warehouse.empty()
    warehouse.load(*SIX)
    return repr(warehouse.state())


def hour(number: int) -> datetime:
    return day(1) + timedelta(hours=number)


@st.composite
def versions(draw: st.DrawFn) -> dict[str, Any]:
    """A line of a patient: few different ones, so that they meet again."""
    meta: dict[str, Any] = {}
    if (updated := draw(st.none() | st.integers(0, HOURS))) is not None:
        meta["lastUpdated"] = format_instant(hour(updated))
    family = draw(st.sampled_from(["Ash", "Elm", "Oak"]))
    given = list(draw(st.sampled_from([(), ("A",), ("A", "B")])))
    version = {"id": draw(st.sampled_from(IDS)), "family": family, "given": given, "meta": meta}
    return draw(st.sampled_from([version, version, version, part(version)]))


@st.composite
def exports(draw: st.DrawFn, number: int, pool: Sequence[dict[str, Any]]) -> Brought:
    """An export with some of these versions in it."""
    lines = draw(st.lists(st.sampled_from(pool), max_size=8))
    return Brought(
        f"e{number}",
        hour(draw(st.integers(1, HOURS - 1))),
        tuple(lines),
        tuple(draw(st.lists(st.sampled_from(IDS), max_size=2))),
        draw(st.sampled_from([PRACTICE, PRACTICE, PRACTICE, "other"])),
        draw(st.booleans()),
        draw(st.sampled_from(["a", "a", "b"])),
        draw(_some_numbers(lines)),
    )


@st.composite
def read_otherwise(draw: st.DrawFn, export: Brought) -> Brought:
    """The same export, as read by another set of tables: other lines are unreadable."""
    refused = draw(_some_numbers(export.lines))
    return replace(export, refused=refused, is_complete=draw(st.booleans()))


def _read_again(export: Brought) -> st.SearchStrategy[Brought]:
    return st.just(export) | read_otherwise(export)


def _some_numbers(lines: Sequence[object]) -> st.SearchStrategy[frozenset[int]]:
    some = st.frozensets(st.integers(1, len(lines)), max_size=2) if lines else st.nothing()
    return st.just(frozenset[int]()) | some


@st.composite
def loads(draw: st.DrawFn) -> list[Brought]:
    """What is loaded, one after the other: some exports again, and read otherwise than before."""
    pool = draw(st.lists(versions(), min_size=1, max_size=12))
    once = [draw(exports(number, pool)) for number in range(draw(st.integers(1, 6)))]
    again = st.lists(st.sampled_from(once).flatmap(_read_again), max_size=4)
    by_age = sorted(once, key=lambda export: export.at)
    return draw(st.just(by_age) | st.permutations(once)) + draw(again)


def fold_of(loaded: Iterable[Brought]) -> list[Span]:
    return plain_fold([one.delivery for one in loaded])


def rows_of(spans: Iterable[Span], exports: Mapping[str, Brought]) -> Rows:
    """Every table as these spans fill it."""
    found: Rows = {table: Counter() for table in STATE}
    for span in spans:
        line, delivery = span.sighting.line, span.sighting.delivery
        resource = exports[delivery.export_id].lines[line.source_line - 1]
        who = (delivery.connection_id, line.resource_id)
        place = (delivery.export_id, line.source_file, line.source_line)
        period = (span.valid_from, span.valid_to, span.closed_by)
        schema, closed = ("history", period) if span.valid_to else ("core", ())
        names = tuple(resource["given"])
        found[f"{schema}.patient"][*who, resource["family"], names, *place, *closed] += 1
        for ordinal, name in enumerate(names, start=1):
            found[f"{schema}.patient_name"][*who, ordinal, name, *place, *closed] += 1
        version = (delivery.at, UUID(line.content), *place)
        found["ops.resource_span"][_key(*who), who[0], "Patient", *version, *period] += 1
    return found


def _key(connection_id: str, resource_id: str) -> int:
    digest = hashlib.md5(f"{connection_id}/Patient/{resource_id}".encode()).digest()
    return int.from_bytes(digest, "little")


def rows_in(warehouse: Books) -> Rows:
    return {table: _rows(warehouse, f"FROM {table}") for table in STATE}


def _rows(warehouse: Books, sql: str) -> Counter[tuple[Any, ...]]:
    """Rows that can be counted: with tuples for lists."""
    return Counter(
        tuple(tuple(value) if isinstance(value, list) else value for value in row)
        for row in warehouse.rows(sql)
    )


def moved_between(before: Iterable[Span], after: Iterable[Span], export: Brought) -> Moved:
    """What a load should say that it changed."""
    was, now = _current(before), _current(after)
    changed = [who for who, place in now.items() if was.get(who) != place]
    ids = [line["id"] for _, line in export.readable]
    return Moved(len(changed), len(was.keys() - now.keys()), len(ids) - len(set(ids)))


def _current(spans: Iterable[Span]) -> dict[tuple[str, str], tuple[str, int]]:
    """Each live resource with the place of its version."""
    found = [span.sighting for span in spans if not span.valid_to]
    return {
        (one.delivery.connection_id, one.line.resource_id): (
            one.delivery.export_id,
            one.line.source_line,
        )
        for one in found
    }


@settings(deadline=None, max_examples=settings().max_examples // 4)
@given(loads())
def test_whatever_is_loaded_equals_the_plain_fold(warehouse: Books, order: list[Brought]) -> None:
    warehouse.empty()
    loaded: dict[str, Brought] = {}
    spans: list[Span] = []
    for export in order:
        (moved,) = warehouse.load(export)
        loaded[export.export_id] = export
        before, spans = spans, fold_of(loaded.values())
        assert moved == moved_between(before, spans, export)
        assert rows_in(warehouse) == rows_of(spans, loaded)

    warehouse.refold()
    assert rows_in(warehouse) == rows_of(spans, loaded)
    for instant in {at for span in spans for at in (span.valid_from, span.valid_to) if at}:
        held = [replace(span, valid_to=None) for span in spans if span.holds_at(instant)]
        then = rows_of(held, loaded)
        for table in ("patient", "patient_name"):
            at = format_instant(instant)
            asked = f"FROM as_of('{table}', TIMESTAMPTZ '{at}')"
            assert _rows(warehouse, asked) == then[f"core.{table}"]


@settings(deadline=None, max_examples=settings().max_examples // 10)
@given(st.permutations(SIX), st.lists(st.sampled_from(SIX), max_size=3))
def test_any_order_and_repetition_of_six_exports_ends_in_the_same_bytes(
    warehouse: Books, dump_of_six: str, order: list[Brought], again: list[Brought]
) -> None:
    warehouse.empty()
    warehouse.load(*order, *again)

    assert repr(warehouse.state()) == dump_of_six
