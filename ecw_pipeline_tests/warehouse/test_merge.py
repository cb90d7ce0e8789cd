"""The warehouse is a fold over received versions: order-free, idempotent, and never ahead."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import permutations
from pathlib import Path

import pytest

from ecw_pipeline_tests.warehouse.versions import Books, ann, books, brought, part, states_of

# A change, a repeat, a delete, a return, a late old version and a duplicate, in four exports.
HISTORY = (
    brought(1, ann("Smith", 1, "Ann"), ann("Ash", 1, name="bob")),
    brought(3, ann("Jones", 3, "Ann", "Mary"), deleted=["bob"]),
    brought(2, ann("Smith", 1, "Ann"), ann("Elm", 2, name="cyd"), ann("Elm", 2, name="cyd")),
    brought(5, ann("Ash", 5, "Bob", name="bob"), ann("Oak", None, name="dee"), deleted=["cyd"]),
)


@pytest.fixture(scope="module")
def shared_books(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Books]:
    with books(tmp_path_factory.mktemp("merge")) as one:
        yield one


@pytest.fixture
def warehouse(shared_books: Books, tmp_path: Path) -> Books:
    """The shared warehouse, emptied, with a folder of this test's own for its exports."""
    shared_books.folder = tmp_path
    shared_books.empty()
    return shared_books


def test_exports_of_the_same_instant_may_come_in_any_order(warehouse: Books) -> None:
    rivals = [
        brought(1, ann("Smith", 1), name="a"),
        brought(1, ann("Smith", 1), name="b"),
        brought(1, ann("Jones", 1), name="c"),
    ]

    assert len(states_of(warehouse, permutations(rivals))) == 1


def test_the_same_version_twice_at_one_instant_is_from_one_export_in_any_order(
    warehouse: Books,
) -> None:
    twins = [brought(1, ann("Smith", 1), name=name) for name in "ab"]

    assert len(states_of(warehouse, permutations(twins))) == 1


def test_the_fold_ends_in_the_last_live_versions(warehouse: Books) -> None:
    warehouse.load(*HISTORY)

    assert warehouse.families() == {"ann": "Jones", "bob": "Ash", "dee": "Oak"}


def test_a_table_built_anew_equals_one_that_was_moved_along(warehouse: Books) -> None:
    warehouse.load(*HISTORY)
    moved_along = warehouse.state()

    warehouse.refold()

    assert warehouse.state() == moved_along


def test_an_equal_version_moves_nothing_and_keeps_the_earliest_export(warehouse: Books) -> None:
    same = ann("Smith", 1)
    warehouse.load(brought(1, same))

    (moved,) = warehouse.load(brought(2, same))

    assert (moved.resources_changed, moved.resources_deleted) == (0, 0)
    assert warehouse.origins() == {"ann": "day-01"}


def test_an_earlier_export_of_the_same_version_takes_over_its_provenance(warehouse: Books) -> None:
    same = ann("Smith", 1)

    warehouse.load(brought(2, same), brought(1, same))

    assert warehouse.origins() == {"ann": "day-01"}


def test_a_version_that_returns_after_another_is_its_own(warehouse: Books) -> None:
    """Equal versions coalesce with neighbours only: Smith, Jones, Smith again."""
    warehouse.load(
        brought(1, ann("Smith", None)),
        brought(2, ann("Jones", None)),
        brought(3, ann("Smith", None)),
    )

    assert warehouse.origins() == {"ann": "day-03"}


def test_a_column_that_is_empty_now_is_empty_in_history_too(warehouse: Books) -> None:
    """Columns that hold nothing are not read when rows move."""
    warehouse.load(brought(1, ann("Smith", 1)), brought(2, {**ann("Jones", 2), "family": None}))
    warehouse.load(brought(3, ann("Ash", 3)))

    families = warehouse.rows("SELECT family FROM history.patient ORDER BY valid_from")
    assert families == [("Smith",), (None,)]


def test_any_table_can_be_asked_for_as_it_was(warehouse: Books) -> None:
    warehouse.load(
        brought(1, ann("Smith", 1, "Ann"), ann("Elm", 1, name="bob")),
        brought(3, ann("Jones", 3, "Anna"), deleted=["bob"]),
    )
    asked = "SELECT patient_id, {} FROM as_of('{}', TIMESTAMPTZ '2024-01-{:02d}') ORDER BY ALL"

    assert warehouse.rows(asked.format("family", "patient", 1)) == []
    assert warehouse.rows(asked.format("family", "patient", 2)) == [
        ("ann", "Smith"),
        ("bob", "Elm"),
    ]
    assert warehouse.rows(asked.format("family", "patient", 4)) == [("ann", "Jones")]
    assert warehouse.rows(asked.format("given", "patient_name", 2)) == [("ann", "Ann")]
    assert warehouse.rows(asked.format("given", "patient_name", 4)) == [("ann", "Anna")]


def test_what_a_complete_export_lacks_is_absent_until_seen_again(warehouse: Books) -> None:
    full = replace(brought(1, ann("Smith", 1), ann("Elm", 1, name="bob")), is_complete=True)
    without = replace(brought(2, ann("Smith", 1)), is_complete=True)

    warehouse.load(full, without)
    assert warehouse.families() == {"ann": "Smith"}
    assert warehouse.closed() == [("bob", "Elm", "absent")]

    warehouse.load(brought(3, ann("Elm", 1, name="bob")))
    assert warehouse.families() == {"ann": "Smith", "bob": "Elm"}


def test_an_export_over_another_scope_proves_no_absence(warehouse: Books) -> None:
    other = replace(brought(2), is_complete=True, export_scope="group/b")

    warehouse.load(brought(1, ann("Smith", 1)), other)

    assert warehouse.families() == {"ann": "Smith"}


def test_what_left_elements_out_never_follows_the_full_version(warehouse: Books) -> None:
    warehouse.load(brought(2, part(ann("Part", 2))))
    assert warehouse.families() == {"ann": "Part"}

    warehouse.load(brought(1, ann("Smith", 1)))
    assert warehouse.families() == {"ann": "Smith"}


def test_a_version_of_another_scope_that_comes_late_can_be_absent_from_it(
    warehouse: Books,
) -> None:
    """Equal content moves nothing by itself, but says who had it."""
    without = replace(brought(3), is_complete=True, export_scope="group/b")
    warehouse.load(brought(1, ann("Smith", 1)), without)
    assert warehouse.families() == {"ann": "Smith"}

    warehouse.load(replace(brought(2, ann("Smith", 1)), export_scope="group/b"))

    assert warehouse.closed() == [("ann", "Smith", "absent")]


def test_an_empty_export_that_turns_out_incomplete_takes_its_absences_back(
    warehouse: Books,
) -> None:
    empty = replace(brought(2), is_complete=True)
    warehouse.load(brought(1, ann("Smith", 1)), empty)
    assert warehouse.families() == {}

    warehouse.load(replace(empty, is_complete=False))

    assert warehouse.families() == {"ann": "Smith"}


def test_what_is_shown_again_after_it_was_gone_is_still_older_than_what_follows(
    warehouse: Books,
) -> None:
    """An export may show a resource twice, as it was before and as it is."""
    warehouse.load(
        brought(1, ann("Smith", 1)),
        brought(4, deleted=["ann"]),
        brought(7, ann("Smith", 1), ann("Jones", 6)),
    )

    assert warehouse.families() == {"ann": "Jones"}


def test_an_old_version_shown_late_does_not_return_from_before_its_deletion(
    warehouse: Books,
) -> None:
    warehouse.load(
        brought(1, ann("Smith", 1)),
        brought(4, deleted=["ann"]),
        brought(6, ann("Jones", 6)),
        brought(7, ann("Smith", 1)),
    )

    assert warehouse.families() == {"ann": "Jones"}


def test_a_line_of_the_output_beats_deleted_also_when_it_cannot_be_read(warehouse: Books) -> None:
    warehouse.load(brought(1, ann("Smith", 1)))
    both = brought(2, ann("Jones", 2), deleted=["ann"])

    warehouse.load(replace(both, refused=frozenset({1})))

    assert warehouse.families() == {"ann": "Smith"}


def test_a_list_without_values_is_the_same_in_history(warehouse: Books) -> None:
    """Of a list, DuckDB's statistics also say that no value is in it."""
    warehouse.load(brought(1, ann("Smith", 1)), brought(2, ann("Jones", 2)))

    assert warehouse.rows("SELECT given FROM history.patient") == [([],)]


def test_a_delete_takes_the_rows_of_parent_and_children(warehouse: Books) -> None:
    warehouse.load(brought(1, ann("Smith", 1, "Ann", "Mary")))

    (moved,) = warehouse.load(brought(2, deleted=["ann"]))

    assert moved.resources_deleted == 1
    assert warehouse.state()[:2] == [[], []]


def test_a_delete_that_is_loaded_before_the_version_still_deletes(warehouse: Books) -> None:
    warehouse.load(brought(2, deleted=["ann"]), brought(1, ann("Smith", 1)))

    assert warehouse.families() == {}


def test_within_one_export_output_beats_deleted(warehouse: Books) -> None:
    warehouse.load(brought(1, ann("Smith", 1)), brought(2, ann("Jones", 2), deleted=["ann"]))

    assert warehouse.families() == {"ann": "Jones"}


def test_a_resource_made_again_after_its_delete_is_live(warehouse: Books) -> None:
    warehouse.load(
        brought(1, ann("Smith", 1)), brought(2, deleted=["ann"]), brought(3, ann("Smith", 3))
    )

    assert warehouse.origins() == {"ann": "day-03"}


def test_the_same_words_received_before_and_after_a_delete_are_two_versions(
    warehouse: Books,
) -> None:
    warehouse.load(
        brought(1, ann("Smith", None)), brought(2, deleted=["ann"]), brought(3, ann("Smith", None))
    )

    assert warehouse.origins() == {"ann": "day-03"}


def test_a_late_older_version_goes_straight_to_history(warehouse: Books) -> None:
    warehouse.load(brought(3, ann("Jones", 3)))

    (moved,) = warehouse.load(brought(1, ann("Smith", 1)))

    assert moved.resources_changed == 0
    assert warehouse.families() == {"ann": "Jones"}
    assert warehouse.closed() == [("ann", "Smith", "superseded")]


def test_an_older_version_in_a_later_export_moves_nothing(warehouse: Books) -> None:
    """The server's own instant decides, not when we asked."""
    warehouse.load(brought(3, ann("Jones", 3)))

    warehouse.load(brought(4, ann("Smith", 1)))

    assert warehouse.families() == {"ann": "Jones"}


def test_duplicates_in_one_export_are_counted_as_superseded(warehouse: Books) -> None:
    lines = (ann("Smith", 1), ann("Jones", 2), ann("Jones", 2), ann("Ash", 1, name="bob"))

    (moved,) = warehouse.load(brought(3, *lines))

    distinct = len({line["id"] for line in lines})
    assert len(lines) == distinct + moved.lines_superseded
    assert warehouse.families() == {"ann": "Jones", "bob": "Ash"}


def test_duplicates_in_one_export_are_one_row(warehouse: Books) -> None:
    warehouse.load(brought(3, ann("Smith", 1, "Ann"), ann("Smith", 1, "Ann")))

    assert warehouse.rows("SELECT patient_id, source_line FROM core.patient") == [("ann", 1)]
    assert warehouse.rows("SELECT count(*) FROM core.patient_name") == [(1,)]


def test_a_repeated_delete_in_one_export_is_one(warehouse: Books) -> None:
    warehouse.load(brought(1, ann("Smith", 1)))

    (moved,) = warehouse.load(brought(2, deleted=["ann", "ann"]))

    assert moved.resources_deleted == 1
    assert warehouse.rows("SELECT count(*) FROM ops.resource_version WHERE is_deleted") == [(1,)]


def test_a_delete_of_something_never_seen_moves_nothing(warehouse: Books) -> None:
    (moved,) = warehouse.load(brought(2, deleted=["nobody"]))

    assert (moved.resources_changed, moved.resources_deleted) == (0, 0)


def test_a_version_without_last_updated_counts_from_its_export(warehouse: Books) -> None:
    warehouse.load(brought(2, ann("Later", None)), brought(3, ann("Earlier", 1)))

    assert warehouse.families() == {"ann": "Later"}


@pytest.mark.parametrize(
    "text",
    [
        "yesterday",
        "",
        "2024-13-01T00:00:00Z",
        "infinity",
        "2024-01-01T00:00:00 America/New_York",
    ],
)
def test_an_unreadable_last_updated_counts_as_none(warehouse: Books, text: str) -> None:
    odd = {**ann("Later", None), "meta": {"lastUpdated": text}}

    warehouse.load(brought(2, odd), brought(3, ann("Earlier", 1)))
    assert warehouse.families() == {"ann": "Later"}

    warehouse.load(brought(4, ann("Last", 4)))
    assert warehouse.families() == {"ann": "Last"}


def test_child_rows_are_those_of_the_parents_version(warehouse: Books) -> None:
    warehouse.load(brought(1, ann("Smith", 1, "Ann", "Mary", "Sue")))

    warehouse.load(brought(2, ann("Smith", 2, "Anna")))

    children = "SELECT ordinal, given, export_id FROM core.patient_name ORDER BY ordinal"
    assert warehouse.rows(children) == [(1, "Anna", "day-02")]


def test_a_line_that_is_gone_when_its_export_is_loaded_again_is_unloaded(warehouse: Books) -> None:
    """As when a table found it unreadable after all."""
    first = brought(1, ann("Smith", 1), ann("Ash", 1, name="bob"))
    warehouse.load(first)

    warehouse.load(replace(first, refused=frozenset({2})))

    assert warehouse.families() == {"ann": "Smith"}


def test_practices_with_the_same_ids_do_not_touch_each_other(warehouse: Books) -> None:
    elsewhere = replace(brought(1, ann("Elsewhere", 1), name="other"), connection_id="other")
    gone = replace(brought(3, deleted=["ann"], name="other-gone"), connection_id="other")
    warehouse.load(brought(1, ann("Smith", 1)), elsewhere)
    assert warehouse.rows("SELECT count(*) FROM core.patient") == [(2,)]

    warehouse.load(gone)

    assert warehouse.rows("SELECT connection_id, family FROM core.patient") == [
        ("practice", "Smith")
    ]
