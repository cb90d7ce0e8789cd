"""A practice read by FHIR search is the same warehouse as one read by bulk export."""

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from ecw_pipeline.bulk_export import searching
from ecw_pipeline.bulk_export.limits import Limits
from ecw_pipeline.doctor import examine_chain
from ecw_pipeline.errors import EcwError
from ecw_pipeline.fhir.restriction import Restriction
from ecw_pipeline.fhir_client.session import open_session
from ecw_pipeline.fhir_client.sign_in import sign_in
from ecw_pipeline.stages import landing
from ecw_pipeline.stages.plans import Wish
from ecw_pipeline.warehouse.database import read_published
from ecw_pipeline_tests.fhir_client.test_sign_in import free_uri
from ecw_pipeline_tests.odd_server import raw
from ecw_pipeline_tests.person import go
from ecw_pipeline_tests.stages.practice import Practice, practice
from ecw_pipeline_tests.stages.proxy import Spoiler, body_of, status

PROVENANCE = ("connection_id", "export_id", "source_file", "source_line")
TUESDAY = "2026-01-06"


@pytest.fixture
def one(tmp_path: Path) -> Iterator[Practice]:
    with practice(tmp_path, patients=3, seed=4) as made:
        made.set("ECW_EXPORT_LEVEL", "search")
        yield made


def _suffer(one: Practice, **faults: dict[str, Any]) -> None:
    one.site.sandbox.faults.replace(faults)


def _rows(one: Practice) -> dict[str, list[str]]:
    """All rows of all tables that hold any, provenance apart."""
    names = one.rows("SELECT table_name FROM duckdb_tables() WHERE schema_name = 'core' ORDER BY 1")
    query = f"SELECT COLUMNS(c -> c NOT IN {PROVENANCE})::VARCHAR FROM core.{{}}"
    with read_published(one.site.data / "warehouse.duckdb") as warehouse:
        found = {
            name: sorted(map(str, warehouse.execute(query.format(name)).fetchall()))
            for (name,) in names
        }
    return {name: rows for name, rows in found.items() if rows}


def _searches(one: Practice) -> list[str]:
    """The searches that reached the server, but for the one that asks for the time."""
    paths = [arrival.rpartition("/")[2] for arrival in one.proxy.arrivals]
    return [path for path in paths if "?" in path and not path.endswith("?_count=1")]


def test_search_and_bulk_give_the_same_tables(one: Practice, tmp_path: Path) -> None:
    one.set("ECW_RESOURCE_TYPES", "Patient,Practitioner,Group,Encounter,Observation,Task")
    one.pull()
    by_search = _rows(one)
    one.set("ECW_EXPORT_LEVEL", "system")
    one.set("ECW_DATA", tmp_path / "bulk")
    (export,) = one.pull()

    with_bulk = Practice(one.site.__class__(one.site.sandbox, tmp_path / "bulk"), one.proxy,
                         one.clock, one.environment)  # fmt: skip
    assert export.level == "system"
    assert _rows(with_bulk) == by_search
    assert sum(map(len, by_search.values())) > 200


def test_later_searches_bring_what_changed_since(one: Practice) -> None:
    one.set("ECW_RESOURCE_TYPES", "Patient,Observation")
    (first,) = one.pull()
    one.site.advance(1)
    del one.proxy.arrivals[:]

    (second,) = one.pull(TUESDAY)

    assert second.since == first.known_at
    asked = (first.known_at - timedelta(minutes=5)).strftime("%Y-%m-%dT%H:%M")
    assert all(f"_lastUpdated=ge{asked}" in search for search in _searches(one))
    live = {resource["id"] for resource in one.site.truth("Observation")}
    known = {i for (i,) in one.rows("SELECT observation_id FROM core.observation")}
    assert live <= known


def test_what_a_search_lacks_is_not_absent(one: Practice) -> None:
    """Its pages shift while resources come and go."""
    one.set("ECW_RESOURCE_TYPES", "Patient,Condition")
    one.pull()
    one.site.advance(1)
    before = set(one.rows("SELECT condition_id FROM core.condition"))

    one.pull(TUESDAY, wish=Wish(is_full=True))

    assert before <= set(one.rows("SELECT condition_id FROM core.condition"))
    assert one.rows("SELECT count(*) FROM ops.resource_span WHERE closed_by = 'absent'") == [(0,)]


@pytest.mark.parametrize("status", [400, 403, 422])
def test_a_server_that_wants_a_patient_is_asked_for_each(one: Practice, status: int) -> None:
    observations = one.site.truth("Observation")
    patients = [resource["id"] for resource in one.site.truth("Patient")]
    _suffer(one, narrow_searches={"status": status})
    one.set("ECW_GROUP_ID", "all-patients")
    one.set("ECW_RESOURCE_TYPES", "Patient,Observation")

    exports = one.arrive()
    failed = one.land(*exports)

    assert failed == {}
    lines = {t: landing.counts_of(one.lake, exports[0], t).lines_landed
             for t in ("Patient", "Observation")}  # fmt: skip
    assert lines == {"Patient": len(patients), "Observation": len(observations)}
    assert sum("=" + patients[0] in search for search in _searches(one)) == 0
    assert _batches(one) == 2


def _batches(one: Practice) -> int:
    return sum(
        arrival.startswith("POST ") and arrival.endswith("/r4") for arrival in one.proxy.arrivals
    )


def _no_interactions(reply: httpx.Response) -> bytes:
    return raw(200, body_of(reply).replace(b'"interaction"', b'"other"'))


def _second_refused(reply: httpx.Response) -> bytes:
    """A batch of which one search was refused, though what it found is there."""
    answered = json.loads(body_of(reply))
    answered["entry"][1]["response"]["status"] = "429 Too Many Requests"
    return raw(200, json.dumps(answered).encode())


def _first_missing(reply: httpx.Response) -> bytes:
    """Answers of which nobody knows what they answer."""
    answered = json.loads(body_of(reply))
    del answered["entry"][0]
    return raw(200, json.dumps(answered).encode())


@pytest.mark.parametrize(
    ("part", "spoiler", "alone"),
    [
        ("/metadata", _no_interactions, 3),
        ("POST /fhir/r4", status(405), 3),
        ("POST /fhir/r4", _first_missing, 3),
        ("POST /fhir/r4", lambda _: raw(200, b"<html>"), 3),
        ("POST /fhir/r4", _second_refused, 1),
    ],
)
def test_what_no_batch_answers_is_asked_for_alone(
    one: Practice, part: str, spoiler: Spoiler, alone: int
) -> None:
    one.set("ECW_RESOURCE_TYPES", "Observation")
    patients = tuple(resource["id"] for resource in one.site.truth("Patient"))
    exports = one.arrive(wish=Wish(restriction=Restriction((), patients)))
    one.proxy.spoil(part, spoiler)

    assert one.land(*exports) == {}

    count = landing.counts_of(one.lake, exports[0], "Observation").lines_landed
    assert count == len(one.site.truth("Observation"))
    assert sum("&patient=" in search for search in _searches(one)) == alone


def test_the_pages_behind_a_batch_are_followed(
    one: Practice, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(searching, "RESOURCES_PER_PAGE", 7)
    monkeypatch.setattr(searching, "SEARCHES_PER_BATCH", 2)
    one.set("ECW_RESOURCE_TYPES", "Observation")
    patients = tuple(resource["id"] for resource in one.site.truth("Patient"))
    exports = one.arrive(wish=Wish(restriction=Restriction((), patients)))

    assert one.land(*exports) == {}

    found = [line for _, path in landing.screened_files(one.lake, exports[0], "Observation")
             for line in path.read_text().splitlines()]  # fmt: skip
    ids = [json.loads(line)["id"] for line in found]
    assert sorted(ids) == sorted(r["id"] for r in one.site.truth("Observation"))
    assert _batches(one) == 2
    assert any("_offset=7" in search for search in _searches(one))


def test_without_a_group_a_server_that_wants_a_patient_is_told_of(one: Practice) -> None:
    _suffer(one, narrow_searches={})
    exports = one.arrive()

    failed = one.land(*exports)

    assert set(failed) == {t.resource_type for t in one.lake.ledger.types(exports[0].export_id)}
    assert "wants every search to name a patient" in failed["Observation"]


def test_a_patient_who_signed_in_is_read_as_such(one: Practice) -> None:
    one.set("ECLINICALWORKS_REDIRECT_URI", free_uri())
    one.set("ECW_RESOURCE_TYPES", "Patient,Observation")
    (connection,) = one.lake.connections()
    ann = one.site.truth("Patient")[1]["id"]
    with (
        open_session(connection, one.lake.folder, one.clock) as session,
        sign_in(session, one.lake.folder.sign_in(connection.connection_id)) as waiting,
    ):
        assert go(waiting.url, patient=ann).status_code == 200
        waiting.finish(10)

    (export,) = one.pull()

    assert export.restriction.patient_ids == (ann,)
    assert one.rows("SELECT patient_id FROM core.patient") == [(ann,)]
    assert one.rows("SELECT DISTINCT patient_id FROM core.observation") == [(ann,)]
    asked = [search for search in _searches(one) if search.startswith(("Patient?", "Observation?"))]
    assert len(asked) >= 2
    assert [search for search in asked if f"={ann}" not in search] == []
    (again,) = one.arrive(TUESDAY)
    assert again.since is None  # of the others nothing is known


def test_patients_and_filters_narrow_the_searches(one: Practice) -> None:
    ann = one.site.truth("Patient")[0]["id"]
    wish = Wish(restriction=Restriction.of(["Observation?category=laboratory"], [ann]))

    (export,) = one.arrive(wish=wish)
    assert one.land(export) == {}

    (search, *_) = _searches(one)
    assert search.startswith("Observation?category=laboratory&_count=200")
    assert f"patient={ann}" in search
    truth = [
        resource
        for resource in one.site.truth("Observation")
        if resource["subject"]["reference"] == f"Patient/{ann}"
        and resource["category"][0]["coding"][0]["code"] == "laboratory"
    ]
    assert landing.counts_of(one.lake, export, "Observation").lines_landed == len(truth) > 0
    assert export.is_partial


def _of_several_pages(one: Practice) -> None:
    one.environment.setattr("ecw_pipeline.bulk_export.searching.RESOURCES_PER_PAGE", 20)
    one.set("ECW_RESOURCE_TYPES", "Observation")


def test_a_search_goes_on_with_the_page_it_broke_off_at(one: Practice) -> None:
    _of_several_pages(one)
    (export,) = one.arrive()
    one.proxy.spoil("_offset=40", status(500))
    assert "Observation" in one.land(export)
    one.proxy.spoils.clear()
    del one.proxy.arrivals[:]

    assert one.land(export) == {}

    assert "_offset=40" in _searches(one)[0]
    found = [line for _, path in landing.screened_files(one.lake, export, "Observation")
             for line in path.read_text().splitlines()]  # fmt: skip
    ids = [json.loads(line)["id"] for line in found]
    assert sorted(ids) == sorted(r["id"] for r in one.site.truth("Observation"))
    folder = one.lake.folder.export(export.connection_id, export.export_id) / "Observation"
    assert [path.name for path in folder.iterdir()] == ["00000.ndjson"]


def test_a_page_that_the_server_forgot_is_searched_for_anew(one: Practice) -> None:
    _of_several_pages(one)
    (export,) = one.arrive()
    one.proxy.spoil("_offset=40", status(410))

    assert "no longer knows a page" in one.land(export)["Observation"]

    one.proxy.spoils.clear()
    assert one.land(export) == {}
    count = landing.counts_of(one.lake, export, "Observation").lines_landed
    assert count == len(one.site.truth("Observation"))


def test_pages_that_run_in_a_circle_are_told_of(one: Practice) -> None:
    _of_several_pages(one)
    (export,) = one.arrive()
    link = {"relation": "next", "url": "Observation?_offset=20"}
    circle = json.dumps({"resourceType": "Bundle", "link": [link]}).encode()
    one.proxy.spoil("_offset=20", lambda _: raw(200, circle))

    assert "run in a circle" in one.land(export)["Observation"]


def test_more_than_is_allowed_is_refused(one: Practice) -> None:
    one.set("ECW_RESOURCE_TYPES", "Observation")
    (export,) = one.arrive()
    one.environment.setattr("ecw_pipeline.stages.fetching.Limits", lambda *_: Limits(10_000, 1))

    assert "more than 0 MB" in one.land(export)["Observation"]


def test_a_server_without_a_clock_is_not_searched(one: Practice) -> None:
    one.proxy.spoil("_count=1", lambda _: raw(200, b"{}"))

    with pytest.raises(EcwError, match="does not say what time it is"):
        one.arrive()


@pytest.mark.parametrize(
    ("faults", "group", "status", "says"),
    [
        ({}, "", "ok", "permitted"),
        ({"narrow_searches": {}}, "all-patients", "ok", "one by one"),
        ({"narrow_searches": {}}, "", "warning", "does not take the search"),
    ],
)
def test_the_doctor_tries_a_search(
    one: Practice, faults: dict[str, Any], group: str, status: str, says: str
) -> None:
    _suffer(one, **faults)
    one.set("ECW_GROUP_ID", group)

    findings = {f.link: f for f in examine_chain(one.lake, one.lake.connections()[0])}

    assert findings["export operation"].status == "ok"
    assert findings["kick off"].status == status
    assert says in findings["kick off"].said
