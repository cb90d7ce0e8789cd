"""Several files at a time: fetched once each, landed in order, and none lost when one fails."""

import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from ecw_pipeline.stages.fetching import FILES_AT_A_TIME
from ecw_pipeline.stages.loading import load_exports
from ecw_pipeline_tests.stages.practice import Practice, practice, write_lines
from ecw_pipeline_tests.stages.proxy import forwarded, status

FILES = 2 * FILES_AT_A_TIME
NAMES = [f"p{number}" for number in range(FILES)]
DOWNLOAD = "$export-file/"


@pytest.fixture
def one(tmp_path: Path) -> Iterator[Practice]:
    """A practice with a patient a file."""
    people = ({"resourceType": "Patient", "id": name} for name in NAMES)
    data = write_lines(tmp_path / "lines", "Patient", *people)
    with practice(tmp_path, data=data, lines_per_file=1) as made:
        yield made


def test_several_files_are_under_way_at_a_time(one: Practice) -> None:
    together = threading.Barrier(FILES_AT_A_TIME)

    def wait_for_others(reply: httpx.Response) -> bytes:
        together.wait(20)
        return forwarded(reply)

    one.proxy.spoil(DOWNLOAD, wait_for_others, times=FILES)

    assert one.land(*one.arrive()) == {}
    load_exports(one.lake)

    rows = one.rows("SELECT patient_id FROM core.patient ORDER BY source_file")
    assert [name for (name,) in rows] == NAMES
    assert one.proxy.arrived(DOWNLOAD) == FILES


def test_when_one_fails_what_is_under_way_is_kept_and_the_rest_not_begun(one: Practice) -> None:
    exports = one.arrive()
    first = one.lake.ledger.files(exports[0].export_id)[0].url.rpartition("/")[2]
    one.proxy.spoil(first, status(405), times=1)

    assert "Patient" in one.land(*exports)

    begun = one.proxy.arrived(DOWNLOAD)
    assert begun <= FILES_AT_A_TIME + 1
    assert one.land(*exports) == {}
    assert one.proxy.arrived(DOWNLOAD) == FILES + 1


def test_expired_links_are_asked_for_once(one: Practice) -> None:
    exports = one.arrive()
    polls = one.proxy.arrived("$export-status/")
    for _ in range(FILES_AT_A_TIME):
        one.proxy.spoil(DOWNLOAD, status(410), times=1)

    assert one.land(*exports) == {}

    assert polls < one.proxy.arrived("$export-status/") <= polls + FILES_AT_A_TIME
    load_exports(one.lake)
    assert len(one.rows("FROM core.patient")) == FILES
