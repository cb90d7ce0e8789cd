"""The client and the sandbox read the specification separately; here they meet."""

import gzip
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from ecw_pipeline.bulk_export.client import BulkExportClient
from ecw_pipeline.bulk_export.limits import Limits
from ecw_pipeline.bulk_export.messages import ExportRequest
from ecw_pipeline.bulk_export.protocol import (
    Completed,
    ExportState,
    Failed,
    InProgress,
    Lost,
    Refused,
)
from ecw_pipeline.clock import ManualClock
from ecw_pipeline.errors import ProtocolError, TemporaryError
from ecw_pipeline.fhir.resource_types import BRIEF_TYPES
from ecw_pipeline.fhir.restriction import Restriction
from ecw_pipeline.fhir_client.session import open_session
from ecw_pipeline.layout import DataFolder
from ecw_pipeline.sandbox.server import RunningSandbox, SandboxConfig, Window, running_sandbox
from ecw_pipeline_tests.builders import connection
from ecw_pipeline_tests.odd_server import OddServer, odd_server, raw

NO_MANIFEST = "complete, says the server, but without a manifest"
FATAL = (
    b'{"resourceType": "OperationOutcome", "issue": [{"severity": "fatal", "code": "exception"}]}'
)
EVERYTHING = ExportRequest("system", "", ("Patient", "Task"), None)


@pytest.fixture(scope="module")
def sandbox() -> Iterator[RunningSandbox]:
    windows = (Window(1_000_000, 86_400.0, "calendar"),)
    config = SandboxConfig(port=0, patients=4, windows=windows, export_seconds=0.0)
    with running_sandbox(config) as running:
        yield running


@contextmanager
def client_of(base_url: str, folder: Path, **changes: Any) -> Iterator[BulkExportClient]:
    clock = ManualClock(datetime.now(UTC))
    with open_session(connection(base_url, **changes), DataFolder(folder), clock) as session:
        yield BulkExportClient(session)


def finished(client: BulkExportClient, state: ExportState) -> Completed:
    for _ in range(2000):
        if not isinstance(state, InProgress):
            break
        state = client.poll(state)
    assert isinstance(state, Completed)
    return state


def test_an_export_is_asked_for_awaited_and_fetched(
    sandbox: RunningSandbox, tmp_path: Path
) -> None:
    with client_of(sandbox.base_url, tmp_path) as client:
        done = finished(client, client.kick_off(EVERYTHING))
        files = [file for file in done.manifest.files if file.kind == "output"]
        kept = [
            client.download(file.url, tmp_path / str(number), Limits(1 << 30, 300), with_token=True)
            for number, file in enumerate(files)
        ]

    for file, whole in zip(files, kept, strict=True):
        content = whole.path.read_bytes()
        text = gzip.decompress(content) if whole.path.suffix == ".gz" else content
        resources = [json.loads(line) for line in text.splitlines()]
        assert {resource["resourceType"] for resource in resources} == {file.resource_type}
        assert len(resources) == file.count
    assert {file.resource_type for file in files} == {"Patient", "Task"}


def test_since_asks_for_less(sandbox: RunningSandbox, tmp_path: Path) -> None:
    with client_of(sandbox.base_url, tmp_path) as client:
        first = finished(client, client.kick_off(EVERYTHING)).manifest
        since = ExportRequest("system", "", ("Patient", "Task"), first.transaction_time)
        second = finished(client, client.kick_off(since)).manifest

    assert [file for file in second.files if file.count] == []


@pytest.mark.parametrize("patients", [(), ("patient-1",)])
def test_what_is_configured_goes_with_every_kick_off(
    sandbox: RunningSandbox, tmp_path: Path, patients: tuple[str, ...]
) -> None:
    """By query and by body: the sandbox refuses each parameter that it does not know."""
    request = replace(EVERYTHING, level="patient", restriction=Restriction((), patients))
    for text, refused in (
        ("_outputFormat=application/fhir+ndjson", ""),
        ("_outputFormat=text/csv", "ECW_EXPORT_PARAMETERS adds _outputFormat"),
        ("_outputFormat=ndjson&somethingElse=1", "adds _outputFormat, somethingElse"),
    ):
        folder = tmp_path / text.replace("/", "-")
        with client_of(sandbox.base_url, folder, export_parameters=text) as client:
            state = client.kick_off(request)
        assert isinstance(state, Failed if refused else InProgress), state
        assert refused in getattr(state, "reason", "")


def test_a_cancelled_export_is_unknown_afterwards(sandbox: RunningSandbox, tmp_path: Path) -> None:
    with client_of(sandbox.base_url, tmp_path) as client:
        state = client.kick_off(EVERYTHING)
        assert isinstance(state, InProgress)

        assert client.cancel(state.status_url)
        assert client.poll(replace(state, progress="10%")) == Lost()


def test_the_server_says_which_types_it_offers(sandbox: RunningSandbox, tmp_path: Path) -> None:
    with client_of(sandbox.base_url, tmp_path) as client:
        assert set(BRIEF_TYPES) <= set(client.offered_types())


def statement(*names: object) -> bytes:
    rest = [{"resource": [{"type": name} for name in names]}, {}]
    return raw(200, json.dumps({"resourceType": "CapabilityStatement", "rest": rest}).encode())


def test_types_that_describe_the_server_are_not_offered(odd: OddServer, tmp_path: Path) -> None:
    odd.answers("/r4/metadata", statement("Task", "Parameters", "Patient", "../x", 5, "Task"))
    with client_of(odd.url + "/r4", tmp_path) as client:
        assert client.offered_types() == ("Task", "Patient")


@pytest.mark.parametrize(
    "reply",
    [
        statement(),
        raw(200, b'{"rest": null}'),
        raw(200, b'{"rest": [{}]}'),
        raw(200, b'{"rest": [{"resource": [{"type":"Group","operation":[{"name":"export"}]}]}]}'),
    ],
)
def test_a_server_that_offers_nothing_is_refused(
    odd: OddServer, tmp_path: Path, reply: bytes
) -> None:
    odd.answers("/r4/metadata", reply)
    with (
        client_of(odd.url + "/r4", tmp_path) as client,
        pytest.raises(ProtocolError) as caught,
    ):
        client.offered_types()
    assert "ECW_RESOURCE_TYPES" in caught.value.next_step


@pytest.mark.parametrize("status", [429, 503])
def test_a_kick_off_that_comes_too_soon_is_not_repeated_by_itself(
    odd: OddServer, tmp_path: Path, status: int
) -> None:
    started = raw(202, content_location="/status/1")
    odd.answers("/r4/$export", raw(status, retry_after="77"), started)
    with client_of(odd.url + "/r4", tmp_path) as client:
        assert client.kick_off(EVERYTHING) == Refused(f"HTTP {status}", 77)


@pytest.mark.parametrize("reply", [b"", raw(502), raw(504)])
def test_a_kick_off_whose_reply_is_lost_is_neither_started_nor_failed(
    odd: OddServer, tmp_path: Path, reply: bytes
) -> None:
    odd.answers("/r4/$export", reply, raw(202, content_location="/status/1"))
    with client_of(odd.url + "/r4", tmp_path) as client, pytest.raises(TemporaryError):
        client.kick_off(EVERYTHING)


def test_a_kick_off_with_an_old_token_is_asked_again_with_a_new_one(
    odd: OddServer, tmp_path: Path
) -> None:
    odd.answers("/r4/$export", raw(401), raw(202, content_location="/status/1"))
    with client_of(odd.url + "/r4", tmp_path) as client:
        assert client.kick_off(EVERYTHING) == InProgress(f"{odd.url}/status/1", "", 2.0)


def test_a_status_url_without_https_is_not_asked(odd: OddServer, tmp_path: Path) -> None:
    odd.answers("/r4/$export", raw(202, content_location="http://192.0.2.1/status"))
    with client_of(odd.url + "/r4", tmp_path) as client:
        state = client.kick_off(EVERYTHING)
        assert isinstance(state, InProgress)
        with pytest.raises(ProtocolError, match="not https"):
            client.poll(state)


def test_redirects_of_kick_off_and_status_are_followed(odd: OddServer, tmp_path: Path) -> None:
    odd.answers("/r4/$export", raw(307, location="/moved/$export"))
    odd.answers("/moved/$export", raw(202, content_location="status/1"))
    odd.answers("/moved/status/1", raw(303, location="/done/1/manifest"))
    odd.answers("/done/1/manifest", manifest_page("Patient.ndjson"))

    with client_of(odd.url + "/r4", tmp_path) as client:
        done = finished(client, client.kick_off(EVERYTHING))

    assert [file.url for file in done.manifest.files] == [f"{odd.url}/done/1/Patient.ndjson"]
    assert odd.authorizations("/done/1/manifest") == ["Bearer abc"]


def test_a_redirect_does_not_turn_some_patients_into_all(odd: OddServer, tmp_path: Path) -> None:
    odd.answers("/r4/Patient/$export", raw(303, location="/all/$export"))
    request = replace(EVERYTHING, level="patient", restriction=Restriction((), ("ann",)))

    with client_of(odd.url + "/r4", tmp_path) as client:
        assert isinstance(client.kick_off(request), Failed)
    assert odd.authorizations("/all/$export") == []


def test_a_redirect_to_another_host_is_not_followed(odd: OddServer, tmp_path: Path) -> None:
    with odd_server() as other, client_of(odd.url + "/r4", tmp_path) as client:
        away = raw(307, location=other.answers("/status/1", raw(202)))
        odd.answers("/r4/$export", away)
        with pytest.raises(ProtocolError, match="not its own host"):
            client.kick_off(EVERYTHING)
        with pytest.raises(ProtocolError, match="not its own host"):
            client.poll(InProgress(odd.answers("/away", away), "", 2.0))
        assert other.arrivals == []


def test_a_poll_whose_connection_breaks_is_repeated(odd: OddServer, tmp_path: Path) -> None:
    url = odd.answers("/breaks", b"", b"", raw(202, x_progress="7%"))
    with client_of(odd.url + "/r4", tmp_path) as client:
        assert client.poll(InProgress(url, "", 2.0)) == InProgress(url, "7%", 3.0)


def test_a_manifest_that_is_html_is_none_yet(odd: OddServer, tmp_path: Path) -> None:
    url = odd.answers("/status/1", raw(200, b"<html>sign in</html>"))
    with client_of(odd.url + "/r4", tmp_path) as client:
        state = client.poll(InProgress(url, "", 2.0))

    assert state == InProgress(url, "complete, says the server, but without a manifest", 3.0)


@pytest.mark.parametrize(
    ("status", "agreed"), [(202, True), (204, True), (404, True), (500, False)]
)
def test_a_server_agrees_to_cancel_or_not(
    odd: OddServer, tmp_path: Path, status: int, agreed: bool
) -> None:
    url = odd.answers("/status/1", raw(status))
    with client_of(odd.url + "/r4", tmp_path) as client:
        assert client.cancel(url) is agreed


def test_a_status_url_at_another_host_is_not_cancelled_and_gets_no_token(
    odd: OddServer, tmp_path: Path
) -> None:
    with odd_server() as other, client_of(odd.url + "/r4", tmp_path) as client:
        url = other.answers("/status/1", raw(202))

        assert not client.cancel(url)
        assert not client.cancel("http://elsewhere.example.org/status/1")
        assert other.arrivals == []


def test_a_host_that_is_gone_is_a_temporary_error(tmp_path: Path) -> None:
    with odd_server() as gone:
        base_url = gone.url + "/r4"
    with (
        client_of(base_url, tmp_path) as client,
        pytest.raises(TemporaryError, match="connection refused"),
    ):
        client.kick_off(EVERYTHING)


def manifest_page(url: str, following: str = "") -> bytes:
    document = {
        "transactionTime": "2026-01-01T00:00:00Z",
        "output": [{"type": "Patient", "url": url}],
        "link": [{"relation": "next", "url": following}] if following else [],
    }
    return raw(200, json.dumps(document).encode(), content_type="application/json")


def test_a_manifest_in_pages_is_read_to_its_end(odd: OddServer, tmp_path: Path) -> None:
    status_url = odd.answers("/status", manifest_page("/1", "/status/2"))
    odd.answers("/status/2", manifest_page("/2", "/status/3"))
    odd.answers("/status/3", manifest_page("/3"))

    with client_of(odd.url + "/r4", tmp_path) as client:
        files = finished(client, InProgress(status_url, "", 0)).manifest.files

    assert [file.url.removeprefix(odd.url) for file in files] == ["/1", "/2", "/3"]


def test_pages_that_run_in_a_circle_may_not_be_all(odd: OddServer, tmp_path: Path) -> None:
    status_url = odd.answers("/status", manifest_page("/1", "/status/2"))
    odd.answers("/status/2", manifest_page("/2", "/status"))

    with (
        client_of(odd.url + "/r4", tmp_path) as client,
        pytest.raises(ProtocolError, match="circle after page 2"),
    ):
        client.poll(InProgress(status_url, "", 0))


@pytest.mark.parametrize(
    ("second", "state"),
    [
        (raw(503, retry_after="9"), InProgress("", "", 9)),
        (raw(404), Lost()),
        (raw(400), Failed("the export failed at the server: HTTP 400")),
        (raw(200), InProgress("", NO_MANIFEST, 3.0)),
        (raw(200, b"<html>"), InProgress("", NO_MANIFEST, 3.0)),
        (raw(200, b'{"resourceType": "OperationOutcome"}'), InProgress("", NO_MANIFEST, 3.0)),
        (raw(200, FATAL), Failed("the export failed at the server: HTTP 200 (exception)")),
    ],
)
def test_a_page_that_cannot_be_read_decides_for_the_whole(
    odd: OddServer, tmp_path: Path, second: bytes, state: ExportState
) -> None:
    status_url = odd.answers("/status", manifest_page("/1", "/status/2"))
    odd.answers("/status/2", second)

    with client_of(odd.url + "/r4", tmp_path) as client:
        reached = client.poll(InProgress(status_url, "", 0))
        if second == raw(404):
            reached = client.poll(InProgress(status_url, "10%", 0))

    if isinstance(state, InProgress):
        state = replace(state, status_url=status_url)
    assert reached == state


def test_a_group_id_stays_one_segment_of_the_url() -> None:
    assert ExportRequest("group", "a/b?c", ("Patient",), None).path() == "Group/a%2Fb%3Fc/$export"
