"""The lines that a table cannot read are found one by one."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecw_pipeline.landing.landing import LandingPaths, screen_file
from ecw_pipeline.landing.unreadable import unreadable_lines
from ecw_pipeline_tests.builders import line, names_below, patient

COLUMNS = {"ecw_line": "UBIGINT", "id": "VARCHAR", "gender": "VARCHAR", "name": "JSON"}
TWICE = b'{"resourceType":"Patient","id":"a","gender":"male","gender":"female"}'
GOOD = line(patient("ann", gender="female"))


def screened(folder: Path, *lines: bytes) -> LandingPaths:
    paths = LandingPaths(folder, "Patient/00000.ndjson")
    paths.received.parent.mkdir(parents=True, exist_ok=True)
    paths.received.write_bytes(b"\n".join(lines))
    screen_file(paths, "Patient")
    return paths


def test_a_line_with_a_key_twice_is_found_by_its_number_in_the_received_file(
    tmp_path: Path,
) -> None:
    paths = screened(tmp_path, GOOD, b"not json", b"", TWICE, GOOD)

    assert unreadable_lines(paths.screened, COLUMNS) == {4}


def test_once_quarantined_nothing_unreadable_is_left(tmp_path: Path) -> None:
    paths = screened(tmp_path, TWICE, GOOD)
    screen_file(paths, "Patient", unreadable_lines(paths.screened, COLUMNS))

    assert unreadable_lines(paths.screened, COLUMNS) == frozenset()


def test_a_file_that_can_be_read_has_none(tmp_path: Path) -> None:
    assert unreadable_lines(screened(tmp_path, GOOD).screened, COLUMNS) == frozenset()


def test_an_empty_file_has_none(tmp_path: Path) -> None:
    assert unreadable_lines(screened(tmp_path).screened, COLUMNS) == frozenset()


def test_a_value_that_is_no_number_is_found(tmp_path: Path) -> None:
    paths = screened(tmp_path, GOOD)

    assert unreadable_lines(paths.screened, {"ecw_line": "UBIGINT", "gender": "BIGINT"}) == {1}


def test_looking_leaves_no_file_behind(tmp_path: Path) -> None:
    paths = screened(tmp_path, TWICE)
    before = names_below(tmp_path)
    unreadable_lines(paths.screened, COLUMNS)

    assert names_below(tmp_path) == before


@settings(deadline=None, max_examples=15)
@given(st.sets(st.integers(1, 40), max_size=8))
def test_all_of_them_are_found_wherever_they_stand(
    tmp_path_factory: pytest.TempPathFactory, bad: set[int]
) -> None:
    folder = tmp_path_factory.getbasetemp() / "unreadable"
    paths = screened(folder, *(TWICE if number in bad else GOOD for number in range(1, 41)))

    assert unreadable_lines(paths.screened, COLUMNS) == bad
