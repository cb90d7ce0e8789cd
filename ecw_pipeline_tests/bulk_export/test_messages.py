"""Requests are spelt as the specification says; manifests are read in any dialect."""

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecw_pipeline.bulk_export.messages import (
    ExportRequest,
    Manifest,
    ManifestFile,
    next_page,
    parse_manifest,
)
from ecw_pipeline.errors import ProtocolError
from ecw_pipeline.fhir.restriction import Restriction
from ecw_pipeline.settings import ExportLevel
from ecw_pipeline_tests.builders import MONDAY

STATUS_URL = "https://a.org/r4/status/1"
AT = "2024-01-01T12:00:00Z"


def manifest(**keys: Any) -> Manifest:
    return parse_manifest({"transactionTime": AT, **keys}, STATUS_URL)


def one_file(**keys: Any) -> ManifestFile:
    """The file of a manifest that names one."""
    (only,) = manifest(output=[{"type": "Patient", "url": "https://a.org/1", **keys}]).files
    return only


@pytest.mark.parametrize(
    ("level", "path"),
    [("system", "$export"), ("patient", "Patient/$export"), ("group", "Group/g1/$export")],
)
def test_each_level_has_its_endpoint(level: ExportLevel, path: str) -> None:
    assert ExportRequest(level, "g1", ("Patient",), None).path() == path


def test_types_and_since_are_parameters() -> None:
    asked = ExportRequest("system", "", ("Patient", "Task"), MONDAY).query()

    assert asked == {"_type": "Patient,Task", "_since": "2024-01-01T12:00:00.000Z"}


def test_no_since_is_no_parameter() -> None:
    assert ExportRequest("system", "", ("Patient",), None).query() == {"_type": "Patient"}


def test_a_manifest_is_an_instant_and_files() -> None:
    read = manifest(
        requiresAccessToken=True,
        output=[{"type": "Patient", "url": "https://a.org/1", "count": 5}],
        deleted=[{"type": "Bundle", "url": "https://a.org/2"}],
        error=[{"type": "OperationOutcome", "url": "https://a.org/3"}],
    )

    assert read == Manifest(
        MONDAY,
        True,
        (
            ManifestFile("output", "Patient", "https://a.org/1", 5),
            ManifestFile("deleted", "Bundle", "https://a.org/2", None),
            ManifestFile("error", "OperationOutcome", "https://a.org/3", None),
        ),
    )


@pytest.mark.parametrize("keys", [{}, {"output": []}, {"output": None, "deleted": None}])
def test_keys_may_be_absent_or_empty(keys: dict[str, Any]) -> None:
    assert manifest(**keys) == Manifest(MONDAY, True, ())


@pytest.mark.parametrize("nothing", [{"url": None, "count": 0}, {"url": "", "count": "0"}])
def test_a_type_of_which_there_is_nothing_needs_no_file(nothing: dict[str, Any]) -> None:
    there = {"type": "Patient", "url": "https://a.org/1"}
    files = manifest(output=[{"type": "Task", **nothing}, there]).files

    assert [file.resource_type for file in files] == ["Patient"]


def test_the_outcome_of_later_drafts_is_the_error_of_today() -> None:
    (only,) = manifest(outcome=[{"type": "OperationOutcome", "url": "https://a.org/1"}]).files

    assert only.kind == "error"


def test_one_file_outside_a_list_is_a_file() -> None:
    assert len(manifest(output={"type": "Patient", "url": "https://a.org/1"}).files) == 1


@pytest.mark.parametrize(
    ("url", "whole"),
    [
        ("https://b.org/1", "https://b.org/1"),
        ("/files/1", "https://a.org/files/1"),
        ("2", "https://a.org/r4/status/2"),
        ("https://a.org/1?x=1&amp;y=2", "https://a.org/1?x=1&y=2"),
        ("https://a.org/1?x=1&#38;y=2", "https://a.org/1?x=1&y=2"),
        ("https://a.org/1?x=1&timestamp=2&region=3", "https://a.org/1?x=1&timestamp=2&region=3"),
        ("https://a.org/1?x=1&y=2", "https://a.org/1?x=1&y=2"),
    ],
)
def test_a_url_is_made_whole(url: str, whole: str) -> None:
    assert one_file(url=url).url == whole


def test_a_count_that_is_written_as_text_is_compared() -> None:
    assert one_file(count="5").count == 5


def test_outcomes_that_are_listed_beside_resources_are_no_resources() -> None:
    assert one_file(type="OperationOutcome").kind == "error"


@pytest.mark.parametrize("count", ["some", "-1", 5.0, True, None, []])
def test_a_count_that_is_no_number_is_no_count(count: object) -> None:
    assert one_file(count=count).count is None


@pytest.mark.parametrize("value", [0, False, "false", "no"])
def test_only_true_requires_a_token(value: object) -> None:
    assert manifest(requiresAccessToken=value).requires_access_token is False


@pytest.mark.parametrize("value", [True, "true", None])
def test_true_may_be_a_text_and_goes_without_saying(value: object) -> None:
    assert manifest(requiresAccessToken=value).requires_access_token is True


@pytest.mark.parametrize("url", ["http://[bad", "https://a.org:99999999/2"])
def test_a_next_page_whose_url_is_none_is_refused(url: str) -> None:
    with pytest.raises(ProtocolError, match="URL that is none"):
        next_page({"link": [{"relation": "next", "url": url}]}, STATUS_URL)


def test_a_file_without_a_type_is_kept_for_landing_to_judge() -> None:
    assert manifest(output=[{"url": "https://a.org/1"}]).files[0].resource_type == ""


@pytest.mark.parametrize(
    "entry",
    [
        {},
        {"url": ""},
        {"url": 5},
        {"url": "http://[bad"},
        {"url": "https://a.org:99999999/1"},
        "https://a.org/1",
        None,
        {"url": "https://a.org/1", "type": "../../../etc"},
        {"url": "https://a.org/1", "type": "/tmp"},
        {"url": "https://a.org/1", "type": ["Patient"]},
    ],
)
def test_a_file_that_cannot_be_fetched_or_kept_is_refused(entry: object) -> None:
    with pytest.raises(ProtocolError, match="manifest names a file of 'output'") as caught:
        manifest(output=[entry])
    assert caught.value.next_step


@pytest.mark.parametrize("text", ["", "today", "2024-01-01", None, 5])
def test_a_manifest_without_a_usable_instant_is_refused(text: object) -> None:
    with pytest.raises(ProtocolError, match="no usable transactionTime"):
        parse_manifest({"transactionTime": text}, STATUS_URL)


@pytest.mark.parametrize(
    "text",
    ["2024-01-01 12:00:00+00:00", "2024-01-01T12:00:00.000+0000", "2024-01-01T07:00:00-0500"],
)
def test_an_instant_may_be_written_a_little_otherwise(text: str) -> None:
    written = {"transactionTime": text}

    assert parse_manifest(written, STATUS_URL).transaction_time == MONDAY


@pytest.mark.parametrize(
    ("query", "answers"),
    [
        ("", True),
        ("?_type=Task,Patient", True),
        ("?_type=Task&_type=Patient", True),
        ("?_type=Task", False),
        ("?_type=Task,Patient&_since=2024-01-01T12:00:00Z", True),
        ("?_since=2023-12-31T12:00:00Z", True),
        ("?_since=2024-01-02T12:00:00.000%2B00:00", False),
        ("?_since=yesterday", True),
    ],
)
def test_a_manifest_of_another_export_is_known_by_its_request(query: str, answers: bool) -> None:
    asked = ExportRequest("system", "", ("Patient", "Task"), MONDAY)

    assert asked.is_answered_by({"request": "http://gateway/$export" + query}) is answers


def test_a_manifest_of_changes_does_not_answer_who_asked_for_everything() -> None:
    asked = ExportRequest("system", "", (), None)

    assert not asked.is_answered_by({"request": f"https://a.org/$export?_since={AT}"})
    assert asked.is_answered_by({"request": "http://[bad"})


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20) | st.just("http://[bad"),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["url", "type", "count", "x"]), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(
    st.dictionaries(
        st.sampled_from(["output", "error", "deleted", "outcome", "requiresAccessToken"]), JSON
    )
)
def test_any_json_is_a_manifest_or_a_protocol_error(keys: dict[str, Any]) -> None:
    with suppress(ProtocolError):
        assert manifest(**keys).transaction_time == MONDAY


def test_a_body_names_what_a_query_does_and_the_patients() -> None:
    restriction = Restriction.of(["Task?status=ready", "Task?code=a"], ["ann", "bob"])

    body = ExportRequest("system", "", ("Patient", "Task"), MONDAY, restriction).body()

    assert [tuple(one.values()) for one in body["parameter"]] == [
        ("_type", "Patient"),
        ("_type", "Task"),
        ("_since", "2024-01-01T12:00:00.000Z"),
        ("_typeFilter", "Task?status=ready"),
        ("_typeFilter", "Task?code=a"),
        ("patient", {"reference": "Patient/ann"}),
        ("patient", {"reference": "Patient/bob"}),
    ]


def test_a_manifest_of_some_resources_does_not_answer_for_all() -> None:
    document = {"request": "https://a.org/$export?_typeFilter=Task%3Fstatus%3Dready"}
    narrowed = Restriction.of(["Task?status=ready"])

    assert not ExportRequest("system", "", ("Task",), None).is_answered_by(document)
    assert ExportRequest("system", "", ("Task",), None, narrowed).is_answered_by(document)
