"""Every received line is landed or quarantined with a reason; nothing is lost on the way."""

import gzip
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ecw_pipeline.errors import BadDataError, MachineError
from ecw_pipeline.files import sha256_of
from ecw_pipeline.landing.landing import (
    Deletion,
    LandingPaths,
    LandingReport,
    read_deletions,
    screen_file,
)
from ecw_pipeline.landing.rules import REASONS
from ecw_pipeline_tests.builders import line, mode_of, names_below, patient, unwritable

ANN = line(patient("ann"))
NESTED = b'{"resourceType":"Patient","id":"a","extension":' + b"[" * 200_000 + b"]" * 200_000 + b"}"


def received(folder: Path, content: bytes, name: str = "Patient/00000.ndjson") -> LandingPaths:
    paths = LandingPaths(folder, name)
    paths.received.parent.mkdir(parents=True, exist_ok=True)
    paths.received.write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    return paths


def rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(text) for text in path.read_bytes().splitlines()]


def reasons(folder: Path, *lines: bytes, refused_lines: Iterable[int] = ()) -> list[str]:
    """Why each of the quarantined lines was refused."""
    paths = received(folder, b"\n".join(lines))
    screen_file(paths, "Patient", frozenset(refused_lines))
    return [row["reason"] for row in rows(paths.quarantine)]


def test_a_good_line_is_landed_with_its_number_in_front(tmp_path: Path) -> None:
    paths = received(tmp_path, b"\n" + ANN + b"\n")

    assert screen_file(paths, "Patient") == LandingReport(1, 1, 0)
    (row,) = rows(paths.screened)
    assert list(row)[:2] == ["ecw_line", "ecw_hash"]
    assert row["ecw_line"] == 2
    assert row["id"] == "ann"


@pytest.mark.parametrize("after_header", [b"\n", b"\n\n", b" \r\n\t\n"])
def test_a_header_is_no_resource(after_header: bytes, tmp_path: Path) -> None:
    header = b'{"resourceType":"Parameters"}'
    paths = received(tmp_path, header + after_header + ANN + b"\n")

    assert screen_file(paths, "Patient") == LandingReport(1, 1, 0)
    assert [row["id"] for row in rows(paths.screened)] == ["ann"]


def test_a_refused_line_takes_none_of_its_neighbours_along(tmp_path: Path) -> None:
    lines = [line(patient(f"p{n}", gender=7 if n == 500 else "other")) for n in range(20_000)]
    paths = received(tmp_path, b"\n".join(lines))

    report = screen_file(paths, "Patient")

    assert report == LandingReport(20_000, 19_999, 1, {"wrong_element_type": 1})
    landed = [(row["ecw_line"], row["id"]) for row in rows(paths.screened)]
    assert landed == [(n + 1, f"p{n}") for n in range(20_000) if n != 500]


def test_two_objects_in_a_line_are_refused_even_beside_one_over_two_lines(tmp_path: Path) -> None:
    """As many values as lines, taken together."""
    two, one = ANN + b" " + ANN, ANN.replace(b",", b",\n", 1)

    assert reasons(tmp_path, two, one, ANN) == ["not_json"] * 3


def test_equal_lines_have_equal_hashes_and_others_do_not(tmp_path: Path) -> None:
    paths = received(tmp_path, b"\n".join([ANN, ANN + b"\r", line(patient("bob"))]))
    screen_file(paths, "Patient")
    first, same, other = (row["ecw_hash"] for row in rows(paths.screened))

    assert first == same != other


def test_a_decimal_is_landed_with_its_text(tmp_path: Path) -> None:
    paths = received(
        tmp_path,
        b'{"resourceType":"Observation","id":"a","valueQuantity":{"value":1.10}}',
        "Observation/00000.ndjson",
    )
    screen_file(paths, "Observation")

    assert rows(paths.screened)[0]["valueQuantity"] == {"value": "1.10"}


REFUSED = {
    "not_utf8": b'{"resourceType":"Patient","id":"a","gender":"\xff"}',
    "not_json": b'{"resourceType":"Patient","id":',
    "no_resource_type": b'{"id":"a"}',
    "other_resource_type": b'{"resourceType":"Observation","id":"a"}',
    "no_id": b'{"resourceType":"Patient"}',
    "bad_id": b'{"resourceType":"Patient","id":"a/b"}',
    "wrong_element_type": b'{"resourceType":"Patient","id":"a","name":"Ann"}',
}


@pytest.mark.parametrize(("reason", "text"), REFUSED.items())
def test_a_line_is_refused_for_its_reason(tmp_path: Path, reason: str, text: bytes) -> None:
    assert reasons(tmp_path, ANN, text, ANN) == [reason]


def test_a_line_that_a_table_could_not_read_is_unreadable(tmp_path: Path) -> None:
    assert reasons(tmp_path, ANN, ANN, refused_lines=[2]) == ["unreadable"]


def test_every_reason_has_a_line_that_gives_it() -> None:
    assert set(REFUSED) | {"unreadable", "bad_deletion"} == set(REASONS)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b"[]", "not_json"),
        (b"null", "not_json"),
        (b"5", "not_json"),
        (b'"Patient"', "not_json"),
        (b"{}", "no_resource_type"),
        (b'{"resourceType":5,"id":"a"}', "other_resource_type"),
        (b'{"resourceType":"Patient","id":5}', "bad_id"),
        (b'{"resourceType":"Patient","id":""}', "no_id"),
        (b'{"resourceType":"Patient","id":"a\\n"}', "bad_id"),
        (b'{"resourceType":"Patient","id":"a"} {}', "not_json"),
        (b'{"resourceType":"Patient","id":"a","x":"\x01"}', "not_json"),
        (b'{"resourceType":"Patient","id":"a","active":NaN}', "not_json"),
    ],
)
def test_an_odd_line_is_refused(tmp_path: Path, text: bytes, reason: str) -> None:
    assert reasons(tmp_path, text) == [reason]


def test_a_line_nested_without_end_is_refused(tmp_path: Path) -> None:
    assert reasons(tmp_path, ANN, NESTED, ANN) == ["not_json"]


def test_a_line_of_two_megabytes_is_landed(tmp_path: Path) -> None:
    large = line(patient("ann", photo=[{"data": "A" * 2_000_000}]))
    paths = received(tmp_path, large)

    assert screen_file(paths, "Patient") == LandingReport(1, 1, 0)
    assert rows(paths.screened)[0]["photo"] == [{"data": "A" * 2_000_000}]


def test_a_refused_line_is_kept_with_file_line_and_path_of_the_fault(tmp_path: Path) -> None:
    text = b'{"resourceType":"Patient","id":"a","name":[{"family":5}]}'
    paths = received(tmp_path, b"\n" + text)
    screen_file(paths, "Patient")

    assert rows(paths.quarantine) == [
        {
            "source_file": "Patient/00000.ndjson",
            "source_line": 2,
            "reason": "wrong_element_type",
            "detail": "$.name[0].family",
            "resource_id": "a",
            "text": text.decode(),
        }
    ]


def test_the_report_counts_by_reason(tmp_path: Path) -> None:
    paths = received(tmp_path, b"\n".join([ANN, b"x", b"y", b"{}"]))

    report = screen_file(paths, "Patient")
    assert report == LandingReport(4, 1, 3, {"not_json": 2, "no_resource_type": 1})


LINES = st.lists(
    st.binary(max_size=60)
    | st.sampled_from([ANN, *REFUSED.values()])
    | st.text(max_size=40).map(str.encode),
    max_size=12,
)


@given(LINES, st.sampled_from([b"\n", b"\r\n", b"\n\n"]), st.booleans(), st.booleans())
@example([ANN, ANN], b"\n", True, True)
def test_lines_received_are_lines_landed_and_quarantined(
    tmp_path_factory: pytest.TempPathFactory,
    lines: list[bytes],
    ending: bytes,
    has_mark: bool,
    is_packed: bool,
) -> None:
    folder = tmp_path_factory.getbasetemp() / "law"
    content = (b"\xef\xbb\xbf" if has_mark else b"") + ending.join(lines)
    name = "Patient/00000.ndjson" + (".gz" if is_packed else "")
    paths = received(folder, content, name)
    before = sha256_of(paths.received)
    report = screen_file(paths, "Patient")

    numbered = enumerate(content.removeprefix(b"\xef\xbb\xbf").split(b"\n"), start=1)
    landed = [row["ecw_line"] for row in rows(paths.screened)]
    refused = [row["source_line"] for row in rows(paths.quarantine)]
    assert sorted(landed + refused) == [number for number, text in numbered if text.strip()]
    assert (report.lines_landed, report.lines_quarantined) == (len(landed), len(refused))
    assert report.lines_received == len(landed) + len(refused)
    assert sum(report.reasons.values()) == len(refused)
    assert sha256_of(paths.received) == before


def test_screening_twice_gives_the_same_bytes(tmp_path: Path) -> None:
    paths = received(tmp_path, b"\n".join([ANN, b"x", ANN]))
    screen_file(paths, "Patient")
    first = (paths.screened.read_bytes(), paths.quarantine.read_bytes())
    screen_file(paths, "Patient")

    assert (paths.screened.read_bytes(), paths.quarantine.read_bytes()) == first


def test_a_cut_file_leaves_neither_screened_nor_quarantined_lines(tmp_path: Path) -> None:
    paths = received(tmp_path, ANN * 100, "Patient/00000.ndjson.gz")
    paths.received.write_bytes(paths.received.read_bytes()[:-6])

    with pytest.raises(BadDataError):
        screen_file(paths, "Patient")
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert files == [paths.received]


def test_a_received_file_that_is_gone_is_named(tmp_path: Path) -> None:
    with pytest.raises(MachineError, match=r"Patient/00000\.ndjson cannot be read"):
        screen_file(LandingPaths(tmp_path, "Patient/00000.ndjson"), "Patient")


def test_a_folder_that_cannot_be_written_is_a_machine_error(tmp_path: Path) -> None:
    paths = received(tmp_path, ANN)

    with unwritable(tmp_path), pytest.raises(MachineError):
        screen_file(paths, "Patient")
    assert names_below(tmp_path) == ["Patient", "Patient/00000.ndjson"]


def test_what_is_made_of_a_file_is_its_owners_alone(tmp_path: Path) -> None:
    paths = received(tmp_path, b"x\n" + ANN)
    screen_file(paths, "Patient")

    assert mode_of(paths.screened) == mode_of(paths.quarantine) == 0o600
    assert mode_of(paths.screened.parent) == mode_of(paths.quarantine.parent) == 0o700


def deletion(url: str = "Patient/ann", method: str = "DELETE") -> dict[str, Any]:
    return {"request": {"method": method, "url": url}}


def bundle(*entries: Any) -> bytes:
    return line({"resourceType": "Bundle", "type": "transaction", "entry": list(entries)})


def deletions(folder: Path, *lines: bytes) -> tuple[list[Deletion], LandingReport]:
    return read_deletions(received(folder, b"\n".join(lines), "deleted/00000.ndjson"))


def test_every_entry_of_a_bundle_is_a_deletion(tmp_path: Path) -> None:
    found, report = deletions(
        tmp_path, bundle(deletion("Patient/ann"), deletion("https://x.org/r4/Task/9/")), bundle()
    )

    assert found == [Deletion("Patient", "ann", 1), Deletion("Task", "9", 1)]
    assert report == LandingReport(2, 2, 0)


def test_a_method_may_be_written_in_any_case(tmp_path: Path) -> None:
    found, report = deletions(tmp_path, bundle(deletion(method="Delete")))

    assert found == [Deletion("Patient", "ann", 1)]
    assert report == LandingReport(1, 1, 0)


def test_an_odd_entry_spoils_no_other_deletion_of_its_bundle(tmp_path: Path) -> None:
    odd = deletion("Patient?identifier=5")

    found, report = deletions(tmp_path, bundle(deletion("Patient/ann"), odd, deletion("Task/9")))

    assert found == [Deletion("Patient", "ann", 1), Deletion("Task", "9", 1)]
    assert report == LandingReport(1, 0, 1, {"bad_deletion": 1})


@pytest.mark.parametrize(
    "text",
    [
        b"{",
        b"[]",
        b"\xff",
        b"[" * 200_000,
        line(patient("ann")),
        line({"resourceType": "Bundle", "entry": {}}),
        bundle("x"),
        bundle({}),
        bundle(deletion(method="PUT")),
        bundle(deletion("ann")),
        bundle(deletion("Patient?identifier=5")),
        bundle(deletion("Patient/ann/_history/1")),
        bundle(deletion("Patient/a b")),
        bundle({"request": {"method": "DELETE", "url": 5}}),
    ],
)
def test_what_names_nothing_to_delete_is_quarantined(tmp_path: Path, text: bytes) -> None:
    found, report = deletions(tmp_path, text, bundle(deletion()))

    assert found == [Deletion("Patient", "ann", 2)]
    assert report == LandingReport(2, 1, 1, {"bad_deletion": 1})
