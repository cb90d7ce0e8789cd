"""What went wrong once is made good by the next call, and never passes for done."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from ecw_pipeline.errors import (
    BadDataError,
    ConfigurationError,
    EcwError,
    TemporaryError,
    raise_first,
)
from ecw_pipeline.ledger_rows import Export
from ecw_pipeline.stages.exports import advance_export, start_exports
from ecw_pipeline.stages.landing import land_type
from ecw_pipeline.stages.plans import Wish, landed_types
from ecw_pipeline.stages.sync import ask_all, bring_home
from ecw_pipeline_tests.odd_server import endless
from ecw_pipeline_tests.stages.practice import (
    DAY,
    Practice,
    practice,
    small_data,
    view,
    write_lines,
)
from ecw_pipeline_tests.stages.proxy import status

PATIENTS = "SELECT patient_id FROM core.patient ORDER BY 1"
CONDITIONS = "SELECT condition_id FROM core.condition ORDER BY 1"
NEXT_DAY = "2026-01-06"


@pytest.fixture
def one(tmp_path: Path) -> Iterator[Practice]:
    with practice(tmp_path, data=small_data(tmp_path / "lines")) as made:
        yield made


def _sync(one: Practice, day: str = DAY) -> None:
    """What `ecw export` does."""
    lake, errors = one.lake, []  # type: ignore[var-annotated]
    asked = ask_all(lake, day, errors)
    bring_home(lake, [export.export_id for export in asked])
    raise_first(errors)


def _exports(one: Practice) -> int:
    return len(one.site.stats()["exports"])


def test_a_sync_that_failed_is_finished_by_the_next_without_a_second_export(one: Practice) -> None:
    one.proxy.spoil("Patient.0", status(404))
    with pytest.raises(EcwError):
        _sync(one)

    one.proxy.spoils.clear()
    _sync(one)

    assert len(one.rows(PATIENTS)) == 3
    assert one.rows("SELECT count(*) FROM core.practitioner") == [(1,)]
    assert _exports(one) == 1


def test_what_landed_but_was_not_loaded_is_loaded_by_the_next_sync_without_asking(
    one: Practice,
) -> None:
    assert one.land(*one.arrive()) == {}

    _sync(one, NEXT_DAY)

    assert len(one.rows(PATIENTS)) == 3
    assert _exports(one) == 1


def test_an_export_that_is_still_landing_moves_no_watermark(one: Practice) -> None:
    (export,) = one.arrive()
    lake = one.lake
    lake.ledger.mark_type(export.export_id, "Practitioner", "landed")

    assert landed_types(lake, lake.connection(export.connection_id)) == []


def test_a_working_warehouse_that_was_deleted_is_built_anew_from_landing(one: Practice) -> None:
    one.pull()
    before = one.rows(PATIENTS)
    one.lake.folder.working_warehouse.unlink()
    one.lake.folder.warehouse.unlink()
    asked = len(one.proxy.arrivals)

    one.load()

    assert one.rows(PATIENTS) == before
    assert len(one.proxy.arrivals) == asked


def test_a_received_file_that_was_changed_is_not_read_again(one: Practice) -> None:
    (export,) = one.pull()
    folder = one.lake.folder.export(export.connection_id, export.export_id)
    shutil.rmtree(folder / "screened")
    shutil.rmtree(one.lake.folder.root / "flat")
    one.lake.folder.working_warehouse.unlink()
    for received in folder.glob("Patient/*"):
        received.write_bytes(b"{}\n")

    with pytest.raises(BadDataError, match="SHA-256"):
        one.load()


def _reversed_output(reply: httpx.Response) -> bytes:
    document = json.loads(reply.extensions["ecw_body"])
    document["output"].reverse()
    return endless(200, json.dumps(document).encode(), content_type="application/json")


def test_links_that_come_back_in_another_order_stay_with_their_types(one: Practice) -> None:
    exports = one.arrive()
    one.proxy.spoil("$export-file", status(404), times=1)
    one.proxy.spoil("$export-status", _reversed_output)

    assert one.land(*exports) == {}
    one.load()

    assert len(one.rows(PATIENTS)) == 3


def test_links_that_come_back_in_another_order_stay_with_their_files(tmp_path: Path) -> None:
    people = [{"resourceType": "Patient", "id": name} for name in ("ann", "bob", "cyd", "dan")]
    data = write_lines(tmp_path / "lines", "Patient", *people)
    with practice(tmp_path, data=data, lines_per_file=2) as made:
        exports = made.arrive()
        made.proxy.spoil("Patient.001", status(404), times=1)
        made.proxy.spoil("$export-status", _reversed_output)

        assert made.land(*exports) == {}
        made.load()

        assert made.rows(PATIENTS) == [("ann",), ("bob",), ("cyd",), ("dan",)]


def test_a_plain_file_cut_in_mid_line_does_not_pass_for_whole(one: Practice) -> None:
    def cut_plain(reply: httpx.Response) -> bytes:
        text = b'{"resourceType":"Patient","id":"ann"}\n{"resourceType":"Pat'
        return endless(200, text, content_type="application/fhir+ndjson")

    exports = one.arrive()
    one.proxy.spoil("Patient", cut_plain)

    assert "cut short" in one.land(*exports)["Patient"]


def test_a_line_of_a_type_without_table_that_cannot_be_read_stops_nothing(tmp_path: Path) -> None:
    twice = '{"resourceType":"Claim","id":"x","id":"y"}'
    write_lines(tmp_path / "lines", "Claim", twice, {"resourceType": "Claim", "id": "c"})
    data = write_lines(tmp_path / "lines", "Patient", {"resourceType": "Patient", "id": "ann"})
    with practice(tmp_path, data=data) as made:
        made.pull()

        assert made.rows(PATIENTS) == [("ann",)]
        assert made.rows("SELECT resource_type, reason FROM ops.quarantine") == [
            ("Claim", "unreadable")
        ]


def test_deletions_of_types_that_were_not_asked_for_are_kept(one: Practice) -> None:
    one.set("ECW_RESOURCE_TYPES", "Practitioner")
    one.pull()
    one.set("ECW_RESOURCE_TYPES", "")
    one.pull(NEXT_DAY)

    assert len(one.rows(PATIENTS)) == 3


def test_an_export_that_is_complete_when_it_is_overdue_is_kept(one: Practice) -> None:
    (export,) = one.ask()
    one.clock.advance(24 * 3600)

    assert advance_export(one.lake, export.export_id).has_arrived


def test_everything_cannot_be_asked_for_while_changes_are_under_way(one: Practice) -> None:
    one.pull()
    one.ask(NEXT_DAY)
    lake = one.lake

    with pytest.raises(TemporaryError, match="under way"):
        start_exports(lake, lake.connections()[0], ["2026-01-07"], Wish(is_full=True))


def test_a_table_whose_view_is_gone_is_gone(one: Practice, tmp_path: Path) -> None:
    views = tmp_path / "views"
    views.mkdir()
    (views / "extra.json").write_text(json.dumps(view("extra", "id")), encoding="utf-8")
    one.set("ECW_VIEW_DEFINITIONS", views)
    one.pull()
    tables = "SELECT schema_name FROM duckdb_tables() WHERE table_name = 'extra' ORDER BY 1"
    assert one.rows(tables) == [("core",), ("history",)]

    (views / "extra.json").unlink()
    one.load()

    assert one.rows(tables) == []


def test_a_connection_that_cannot_be_asked_does_not_stop_the_others(
    one: Practice, tmp_path: Path
) -> None:
    connections = tmp_path / "connections.toml"
    common = 'provider = "smart-sandbox"\nclient_id = "sandbox-client"\n'
    common += 'windows = ["100000/1s"]\n'
    no_secret = common + 'client_secret_file = "/nowhere/secret"\n'
    common += 'client_secret_env = "ECLINICALWORKS_CLIENT_SECRET"\n'
    connections.write_text(
        f'[connections.aa_secretless]\nfhir_endpoint = "http://127.0.0.1:9/r4"\n{no_secret}'
        f'[connections.aa_down]\nfhir_endpoint = "http://127.0.0.1:9/fhir/r4"\n{common}'
        f'[connections.bb_up]\nfhir_endpoint = "{one.site.sandbox.base_url}"\n{common}',
        encoding="utf-8",
    )
    one.set("ECW_CONNECTIONS", connections)

    with pytest.raises(ConfigurationError, match="aa_secretless, client_secret_file names") as told:
        _sync(one)

    assert "; also: " in told.value.message
    assert one.rows("SELECT DISTINCT connection_id FROM core.patient") == [("bb_up",)]


@pytest.fixture
def changing(tmp_path: Path) -> Iterator[Practice]:
    """Ten conditions, of which some are deleted each day."""
    lines = [{"resourceType": "Condition", "id": f"c{n}"} for n in range(10)]
    with practice(tmp_path, data=write_lines(tmp_path / "lines", "Condition", *lines)) as made:
        yield made


def _lands_without_its_deletions(one: Practice) -> Export:
    one.pull()
    assert one.site.advance(days=1)["deleted"]
    (export,) = one.arrive(NEXT_DAY)
    land_type(one.lake, export, "Condition")
    return export


def _live(one: Practice) -> list[tuple[str]]:
    return sorted((resource["id"],) for resource in one.site.truth("Condition"))


def test_an_export_without_its_deletions_is_not_loaded(changing: Practice) -> None:
    _lands_without_its_deletions(changing)

    assert changing.load() == []

    assert len(changing.rows(CONDITIONS)) == 10


def test_an_export_without_its_deletions_moves_no_watermark(changing: Practice) -> None:
    _lands_without_its_deletions(changing)

    (next_one,) = changing.pull("2026-01-07")

    assert next_one.since == changing.lake.ledger.exports()[0].transaction_time
    assert changing.rows(CONDITIONS) == _live(changing)


def test_deletions_that_are_missing_are_fetched_by_the_next_sync(changing: Practice) -> None:
    _lands_without_its_deletions(changing)

    _sync(changing, NEXT_DAY)

    assert changing.rows(CONDITIONS) == _live(changing)
    assert _exports(changing) == 2


def test_a_folder_of_views_that_is_not_there_is_told_before_anything_is_asked(
    one: Practice, tmp_path: Path
) -> None:
    one.set("ECW_VIEW_DEFINITIONS", tmp_path / "nowhere")

    with pytest.raises(ConfigurationError, match="ECW_VIEW_DEFINITIONS"):
        _sync(one)

    assert one.proxy.arrivals == []
    assert not one.lake.folder.ledger.exists()


def test_a_type_without_a_file_beside_errors_is_asked_for_again_from_where_it_was(
    tmp_path: Path,
) -> None:
    """Its news may be what the server failed to write."""
    data = small_data(tmp_path / "lines")
    write_lines(data, "Task")
    with practice(tmp_path, data=data) as one:
        one.site.sandbox.faults.replace({"error_only": {"keeps_output": True}})
        (first,) = one.pull()
        assert _types_known(one) == ["Patient", "Practitioner"]

        one.site.sandbox.faults.replace({})
        asked = one.ask(NEXT_DAY)

    assert {(export.resource_types, export.since) for export in asked} == {
        (("Task",), None),
        (("Patient", "Practitioner"), first.transaction_time),
    }


def _types_known(one: Practice) -> list[str]:
    lake = one.lake
    return [known.resource_type for known in landed_types(lake, lake.connections()[0])]
