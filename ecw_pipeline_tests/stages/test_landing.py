"""One type that cannot be had stops no other, and is fetched later without the rest."""

import gzip
from collections.abc import Iterator
from pathlib import Path

import pytest

from ecw_pipeline.errors import TemporaryError
from ecw_pipeline.stages.landing import counts_of, land_type
from ecw_pipeline.stages.shortfalls import shortfalls
from ecw_pipeline.stages.sync import bring_home
from ecw_pipeline_tests.odd_server import endless, raw
from ecw_pipeline_tests.stages.practice import Practice, practice, small_data
from ecw_pipeline_tests.stages.proxy import Spoiler, cut, damaged, hung_up, status

ONE_PATIENT = "SELECT count(*) FROM core.patient"


@pytest.fixture
def one(tmp_path: Path) -> Iterator[Practice]:
    """Two types; the patients come in files of a single line."""
    with practice(tmp_path, data=small_data(tmp_path / "lines"), lines_per_file=1) as made:
        yield made


@pytest.mark.parametrize("spoiler", [status(404), status(410), cut, damaged])
def test_a_type_that_fails_lands_at_the_next_call_fetching_only_what_is_missing(
    one: Practice, spoiler: Spoiler
) -> None:
    exports = one.arrive()
    last = [f for f in one.lake.ledger.files(exports[0].export_id) if f.resource_type == "Patient"]
    one.proxy.spoil(last[-1].url.rpartition("/")[2], spoiler)

    assert list(one.land(*exports)) == ["Patient"]
    one.load()
    assert one.rows("SELECT practitioner_id FROM core.practitioner") == [("doc",)]
    assert one.rows(ONE_PATIENT) == [(0,)]

    one.proxy.spoils.clear()
    before = one.fetches()
    assert one.land(*exports) == {}
    one.load()
    assert one.rows(ONE_PATIENT) == [(3,)]
    again = {name for name, count in one.fetches().items() if count != before.get(name)}
    assert again == {name for name in before if name.endswith(last[-1].url.rpartition("/")[2])}
    assert sum(one.fetches().values()) == sum(before.values()) + 1


def test_a_type_that_lands_late_is_told_of_once(one: Practice) -> None:
    exports = one.arrive()
    one.proxy.spoil("Patient", status(404))
    one.land(*exports)
    one.load()
    one.proxy.spoils.clear()

    one.land(*exports)
    one.load()

    assert one.rows(
        "SELECT count(*), count(DISTINCT source_file), sum(lines_landed) FROM ops.file"
    ) == [(4, 4, 4)]


def test_a_damaged_gzip_file_is_fetched_again_and_lands(one: Practice) -> None:
    exports = one.arrive()
    one.proxy.spoil("$export-file", damaged, times=1)

    assert one.land(*exports) == {}

    assert sorted(one.fetches().values()) == [1, 1, 1, 2]


def test_a_gzip_file_that_stays_damaged_is_named_and_has_no_lines(one: Practice) -> None:
    (export,) = one.arrive()
    one.proxy.spoil("Practitioner", damaged)

    with pytest.raises(TemporaryError, match="cut short or damaged"):
        land_type(one.lake, export, "Practitioner")

    states = {t.resource_type: t.state for t in one.lake.ledger.types(export.export_id)}
    assert states["Practitioner"] == "failed"
    assert counts_of(one.lake, export, "Practitioner").lines_landed == 0


def test_a_file_of_which_nothing_tells_the_end_is_fetched_again_where_it_is_short(
    one: Practice,
) -> None:
    exports = one.arrive()
    one.proxy.spoil("$export-file", lambda _: endless(200, b""), times=1)

    assert one.land(*exports) == {}

    assert sorted(one.fetches().values()) == [1, 1, 1, 2]
    one.load()
    assert one.rows(ONE_PATIENT) == [(3,)]


def test_a_file_that_stays_shorter_than_announced_is_fetched_twice_and_told(one: Practice) -> None:
    exports = one.arrive()
    one.proxy.spoil("Practitioner", lambda _: endless(200, b""))

    assert one.land(*exports) == {}

    assert sorted(one.fetches().values()) == [1, 1, 1, 2]
    (export,) = exports
    assert counts_of(one.lake, export, "Practitioner").lines_missing == 1
    assert list(shortfalls(one.lake, export)) == ["Practitioner: 0 of 1 lines came"]


@pytest.mark.parametrize("code", [403, 410])
def test_links_that_expired_are_read_anew_from_the_manifest(one: Practice, code: int) -> None:
    exports = one.arrive()
    polls = one.proxy.arrived("$export-status")
    one.proxy.spoil("$export-file", status(code), times=1)

    assert one.land(*exports) == {}

    assert one.proxy.arrived("$export-status") == polls + 1


@pytest.mark.parametrize("spoiler", [cut, status(500)])
def test_a_file_that_breaks_is_fetched_again_though_the_server_forgot_the_export(
    one: Practice, spoiler: Spoiler
) -> None:
    exports = one.arrive()
    one.proxy.spoil("$export-status", status(404))
    one.proxy.spoil("$export-file", spoiler, times=1)

    assert one.land(*exports) == {}


def test_a_file_that_comes_wrapped_in_a_binary_is_not_taken_for_no_news(one: Practice) -> None:
    exports = one.arrive()
    wrapped = b'{"resourceType":"Binary","id":"b","contentType":"application/fhir+ndjson"}'
    one.proxy.spoil("Practitioner", lambda _: raw(200, wrapped))

    assert "wraps its files" in one.land(*exports)["Practitioner"]

    one.proxy.spoils.clear()
    assert one.land(*exports) == {}


@pytest.mark.parametrize(
    "body",
    [b"<html>\n<p>sign in</p>\n</html>\n", gzip.compress(gzip.compress(b"{}\n"))],
    ids=["page", "packed twice"],
)
def test_a_file_that_is_no_ndjson_is_not_taken_for_bad_lines(one: Practice, body: bytes) -> None:
    exports = one.arrive()
    one.proxy.spoil("Practitioner", lambda _: raw(200, body))

    assert "is no NDJSON" in one.land(*exports)["Practitioner"]

    one.proxy.spoils.clear()
    assert one.land(*exports) == {}


def test_a_server_too_busy_for_fresh_links_is_asked_again_later(one: Practice) -> None:
    exports = one.arrive()
    one.proxy.spoil("$export-status", status(429), times=1)
    one.proxy.spoil("$export-file", status(410), times=1)

    assert "no fresh ones now" in " ".join(one.land(*exports).values())
    assert one.land(*exports) == {}


def test_links_expire_of_files_whose_type_the_manifest_does_not_say(one: Practice) -> None:
    one.site.sandbox.faults.replace({"organized_output": {"keeps_type": False}})
    exports = one.arrive()
    last = one.lake.ledger.files(exports[0].export_id)[-1].url.rpartition("/")[2]
    one.proxy.spoil(last, status(410), times=3)

    assert one.land(*exports) != {}
    assert one.land(*exports) == {}


def test_what_has_landed_is_not_fetched_again(one: Practice) -> None:
    exports = one.arrive()
    one.land(*exports)

    one.land(*exports)

    assert set(one.fetches().values()) == {1}


def test_a_whole_sync_brings_home_what_it_can_before_it_fails(one: Practice) -> None:
    asked = one.ask()
    one.proxy.spoil("Patient", status(404))

    with pytest.raises(TemporaryError):
        bring_home(one.lake, [export.export_id for export in asked])

    assert one.rows("SELECT practitioner_id FROM core.practitioner") == [("doc",)]


def test_an_export_whose_deletions_cannot_be_had_is_not_loaded(tmp_path: Path) -> None:
    with practice(tmp_path, patients=5) as one:
        one.set("ECW_RESOURCE_TYPES", "Observation")
        one.pull()
        assert one.site.advance(days=60)["deleted"]["Observation"] > 0
        asked = one.ask(ask_again=True)
        one.proxy.spoil("deleted", status(404))

        with pytest.raises(TemporaryError):
            bring_home(one.lake, [export.export_id for export in asked])
        assert one.rows("SELECT count(DISTINCT export_id) FROM ops.load") == [(1,)]

        one.proxy.spoils.clear()
        bring_home(one.lake, [export.export_id for export in asked])
        live = sorted((resource["id"],) for resource in one.site.truth("Observation"))
        assert one.rows("SELECT observation_id FROM core.observation ORDER BY 1") == live


def test_deletions_that_cannot_be_read_are_told_of(tmp_path: Path) -> None:
    odd = b'{"resourceType":"Bundle","entry":[{"request":{"method":"DELETE","url":"Patient?a=b"}}]}'
    with practice(tmp_path, patients=5) as one:
        one.set("ECW_RESOURCE_TYPES", "Observation")
        one.pull()
        assert one.site.advance(days=60)["deleted"]["Observation"] > 0
        asked = one.ask(ask_again=True)
        one.proxy.spoil("deleted", lambda _: raw(200, odd))

        bring_home(one.lake, [export.export_id for export in asked])

        told = [words for export in asked for words in shortfalls(one.lake, export)]
        assert told == ["lines of deletions refused: 1"]


def test_an_outcome_file_that_cannot_be_had_stops_no_resources(one: Practice) -> None:
    one.site.sandbox.faults.replace({"error_only": {"keeps_output": True}})
    asked = one.ask()
    one.proxy.spoil("error_only", status(404))

    with pytest.raises(TemporaryError, match="link to an export file"):
        bring_home(one.lake, [export.export_id for export in asked])

    assert one.rows(ONE_PATIENT) == [(3,)]


@pytest.mark.parametrize(("wanted", "asked"), [("true", 1), ("false", 0)])
def test_an_export_that_has_landed_is_deleted_at_the_server_if_wanted(
    one: Practice, wanted: str, asked: int
) -> None:
    one.set("ECW_DELETE_EXPORTS", wanted)

    one.land(*one.arrive())
    one.land(*one.lake.ledger.exports())

    assert one.proxy.arrived("DELETE ") == asked


def test_a_server_that_does_not_delete_spoils_nothing(one: Practice) -> None:
    one.set("ECW_DELETE_EXPORTS", "true")
    one.proxy.spoil("DELETE ", hung_up)

    assert one.land(*one.arrive()) == {}

    (export,) = one.lake.ledger.exports()
    assert export.state == "landed"


def test_an_export_of_which_a_type_failed_is_not_deleted(one: Practice) -> None:
    one.set("ECW_DELETE_EXPORTS", "true")
    exports = one.arrive()
    one.proxy.spoil("Patient", status(404))

    assert list(one.land(*exports)) == ["Patient"]

    assert one.proxy.arrived("DELETE ") == 0
