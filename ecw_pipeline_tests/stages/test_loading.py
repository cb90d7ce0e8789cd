"""What lands is loaded whole, by every table that can follow, and published."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ecw_pipeline.errors import MachineError
from ecw_pipeline.stages.flattening import flatten_type
from ecw_pipeline.stages.landing import land_type
from ecw_pipeline.stages.tables import tables_of
from ecw_pipeline_tests.stages.practice import (
    DAY,
    Practice,
    practice,
    small_data,
    view,
    write_lines,
)

ANN = {"resourceType": "Patient", "id": "ann", "name": [{"family": "Ash"}]}
TWICE_IN_CONTACT = (
    '{"resourceType":"Patient","id":"bob","contact":[{"gender":"male","gender":"female"}]}'
)
TWICE_IN_ADDRESS = '{"resourceType":"Patient","id":"cyd","address":[{"city":"A","city":"B"}]}'
TWICE_IN_PHOTO = '{"resourceType":"Patient","id":"bob","photo":[{"title":"a","title":"b"}]}'
WRONG_TYPE = {"resourceType": "Patient", "id": "dee", "name": "Dee"}


@pytest.fixture
def one(tmp_path: Path) -> Iterator[Practice]:
    with practice(tmp_path, data=small_data(tmp_path / "lines")) as made:
        yield made


@pytest.fixture
def views(one: Practice, tmp_path: Path) -> Path:
    """A folder of the user's own views."""
    folder = tmp_path / "views"
    folder.mkdir()
    one.set("ECW_VIEW_DEFINITIONS", folder)
    return folder


def _write(folder: Path, name: str, path: str) -> None:
    (folder / f"{name}.json").write_text(json.dumps(view(name, path)), encoding="utf-8")


def _answers(one: Practice, table: str) -> list[Any]:
    return [answer for (answer,) in one.rows(f"SELECT answer FROM core.{table} ORDER BY ALL")]


def test_lines_that_no_table_can_read_are_quarantined_and_the_rest_is_loaded(
    tmp_path: Path,
) -> None:
    lines = (ANN, TWICE_IN_CONTACT, WRONG_TYPE, ANN, TWICE_IN_ADDRESS, "{")
    data = write_lines(tmp_path / "lines", "Patient", *lines)
    with practice(tmp_path, data=data) as one:
        one.pull()

        assert one.rows("SELECT patient_id FROM core.patient") == [("ann",)]
        assert one.rows(
            "SELECT source_line, reason, detail FROM ops.quarantine ORDER BY source_line"
        ) == [
            (2, "unreadable", ""),
            (3, "wrong_element_type", "$.name"),
            (5, "unreadable", ""),
            (6, "not_json", ""),
        ]
        assert one.rows(
            "SELECT lines_received, lines_landed, lines_quarantined, lines_superseded FROM ops.load"
        ) == [(6, 2, 4, 1)]
        assert one.stale() == []


def test_a_line_longer_than_duckdb_takes_by_itself_is_a_row_like_any_other(tmp_path: Path) -> None:
    long = {**ANN, "id": "long", "text": {"status": "generated", "div": "x" * (34 << 20)}}
    data = write_lines(tmp_path / "lines", "Patient", ANN, long)
    with practice(tmp_path, data=data) as one:
        one.pull()

        assert one.rows("SELECT patient_id FROM core.patient ORDER BY 1") == [("ann",), ("long",)]
        assert one.stale() == []


def test_a_view_that_fails_on_the_data_leaves_only_its_own_table_behind(
    one: Practice, views: Path
) -> None:
    write_lines(views.parent / "lines", "Patient", {**ANN, "name": [{"family": "A"}] * 2})
    _write(views, "wrong", "name.family")
    _write(views, "right", "name.first().family")

    one.pull()

    assert one.stale() == ["wrong"]
    assert _answers(one, "right") == ["A"]


def test_mending_a_view_builds_its_table_without_the_network(one: Practice, views: Path) -> None:
    write_lines(views.parent / "lines", "Patient", {**ANN, "name": [{"family": "A"}] * 2})
    _write(views, "mine", "name.family")
    one.pull()
    before = len(one.proxy.arrivals)

    _write(views, "mine", "name.first().family")
    one.load()

    assert (one.stale(), _answers(one, "mine")) == ([], ["A"])
    assert len(one.proxy.arrivals) == before


def test_a_view_that_breaks_later_keeps_its_last_good_rows_and_says_so(
    one: Practice, views: Path
) -> None:
    _write(views, "mine", "gender")
    one.pull()

    _write(views, "mine", "gender.nonsense(")
    one.load()

    assert (one.stale(), _answers(one, "mine")) == (["mine"], ["female"] * 3)


def test_a_view_that_is_wrong_and_has_no_data_stops_no_other(one: Practice, views: Path) -> None:
    broken = {**view("mine", "nonsense("), "resource": "Observation"}
    (views / "mine.json").write_text(json.dumps(broken), encoding="utf-8")

    one.pull()

    assert one.stale() == ["mine"]
    assert one.rows("SELECT count(*) FROM core.patient") == [(3,)]


def test_a_changed_view_and_a_new_one_hold_what_landed_before(one: Practice, views: Path) -> None:
    _write(views, "mine", "gender")
    one.pull()
    before = len(one.proxy.arrivals)

    _write(views, "mine", "id")
    _write(views, "later", "name.first().family")
    one.load()

    assert _answers(one, "mine") == ["ann", "bob", "cyd"]
    assert _answers(one, "later") == ["Ann", "Bob", "Cyd"]
    assert len(one.proxy.arrivals) == before


def test_loading_again_moves_nothing_and_publishes_nothing(one: Practice) -> None:
    one.pull()
    published = (one.site.data / "warehouse.duckdb").stat().st_ino

    assert one.load() == []

    assert (one.site.data / "warehouse.duckdb").stat().st_ino == published


def test_a_publish_that_failed_is_made_up_for(one: Practice) -> None:
    one.pull()
    write_lines(one.site.data.parent / "lines", "Patient", ANN)
    exports = one.arrive(DAY, ask_again=True)
    one.land(*exports)
    in_the_way = one.site.data / "warehouse.duckdb.part"
    in_the_way.mkdir()
    with pytest.raises(MachineError):
        one.load()
    in_the_way.rmdir()

    one.load()

    assert one.rows("SELECT family_name FROM core.patient WHERE patient_id = 'ann'") == [("Ash",)]


def test_a_kill_between_the_load_and_its_record_repeats_nothing(one: Practice) -> None:
    """The warehouse has it and the ledger does not know: it is loaded once more."""
    exports = one.pull()
    tables = ("core.patient", "ops.file", "ops.load", "ops.resource_version", "ops.quarantine")
    before = [one.rows(f"FROM {table} ORDER BY ALL") for table in tables]
    for export in exports:
        for name in export.resource_types:
            one.lake.ledger.mark_type(export.export_id, name, "landed")

    one.load()

    assert [one.rows(f"FROM {table} ORDER BY ALL") for table in tables] == before


def test_a_type_that_is_still_on_its_way_holds_its_export_back(one: Practice) -> None:
    (export,) = one.arrive()
    land_type(one.lake, export, "Patient")

    assert one.load() == []

    assert one.rows("SELECT count(*) FROM core.patient") == [(0,)]


def test_everything_but_landing_can_be_rebuilt_to_the_same_rows(one: Practice) -> None:
    exports = one.pull()
    ordered = "FROM core.patient ORDER BY patient_id"
    before, requests = one.rows(ordered), len(one.proxy.arrivals)
    data = one.site.data
    shutil.rmtree(data / "flat")
    for screened in data.glob("landing/*/*/screened"):
        shutil.rmtree(screened)
    for path in (data / "warehouse.duckdb", data / "state" / "warehouse.duckdb"):
        path.unlink()
    for export in exports:
        for name in export.resource_types:
            one.lake.ledger.mark_type(export.export_id, name, "landed")

    one.load()

    assert (one.rows(ordered), len(one.proxy.arrivals)) == (before, requests)


def test_two_connections_of_one_file_fill_the_same_tables(one: Practice, tmp_path: Path) -> None:
    endpoint = f"{one.proxy.url}/fhir/r4"
    table = (
        f'provider = "smart-sandbox"\nfhir_endpoint = "{endpoint}"\nclient_id = "sandbox-client"'
    )
    keys = f'{table}\nclient_secret_env = "PRACTICE_SECRET"\nwindows = ["100000/1s"]\n'
    config = tmp_path / "connections.toml"
    config.write_text(f"[connections.north]\n{keys}[connections.south]\n{keys}", encoding="utf-8")
    one.set("PRACTICE_SECRET", "sandbox-secret")
    one.set("ECW_CONNECTIONS", config)

    one.pull()

    assert one.rows("SELECT connection_id, count(*) FROM core.patient GROUP BY 1 ORDER BY 1") == [
        ("north", 3),
        ("south", 3),
    ]


def test_a_line_that_a_later_view_cannot_read_leaves_every_table_as_a_rebuild_would(
    tmp_path: Path,
) -> None:
    data = write_lines(tmp_path / "lines", "Patient", ANN, TWICE_IN_PHOTO)
    with practice(tmp_path, data=data) as one:
        one.pull()
        assert one.rows("SELECT patient_id FROM core.patient ORDER BY 1") == [("ann",), ("bob",)]
        (tmp_path / "views").mkdir()
        _write(tmp_path / "views", "mine", "photo.title.first()")
        one.set("ECW_VIEW_DEFINITIONS", tmp_path / "views")

        one.load()

        questions = (
            "SELECT patient_id FROM core.patient",
            "SELECT patient_id FROM core.mine",
            "SELECT lines_received, lines_landed, lines_quarantined FROM ops.load",
            "SELECT lines_received, lines_landed, lines_quarantined FROM ops.file",
            "SELECT source_line, reason FROM ops.quarantine",
        )
        moved_along = [one.rows(question) for question in questions]
        assert moved_along == [
            [("ann",)],
            [("ann",)],
            [(2, 1, 1)],
            [(2, 1, 1)],
            [(2, "unreadable")],
        ]
        one.lake.folder.working_warehouse.unlink()
        one.load()
        assert [one.rows(question) for question in questions] == moved_along
        assert one.load() == []


def test_a_view_that_fails_beside_a_line_nobody_can_read_keeps_its_own_reason(
    tmp_path: Path,
) -> None:
    two = {"resourceType": "Patient", "id": "eve", "name": [{"family": "A"}, {"family": "B"}]}
    data = write_lines(tmp_path / "lines", "Patient", two, TWICE_IN_PHOTO)
    (tmp_path / "views").mkdir()
    _write(tmp_path / "views", "mine", "iif(photo.title.exists(), name.family, name.family)")
    with practice(tmp_path, data=data) as one:
        one.set("ECW_VIEW_DEFINITIONS", tmp_path / "views")
        one.pull()

        reasons = one.rows("SELECT reason FROM ops.table_state WHERE table_name = 'mine'")
        assert "several values where one is expected" in reasons[0][0]


def test_flat_files_that_are_there_ask_for_no_screened_lines(one: Practice) -> None:
    (export,) = one.arrive()
    one.land(export)
    patients = tables_of(one.lake.tables, "Patient")
    screened = one.lake.folder.export(export.connection_id, export.export_id) / "screened"
    before, _ = flatten_type(one.lake, patients, export)
    shutil.rmtree(screened)

    after, broken = flatten_type(one.lake, patients, export)

    assert ([file.path for file in after], broken) == ([file.path for file in before], {})
    assert not screened.exists()
