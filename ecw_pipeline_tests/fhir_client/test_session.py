"""A session authorizes and meters every request of one connection."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ecw_pipeline.clock import ManualClock
from ecw_pipeline.errors import EcwError, ProtocolError, TemporaryError
from ecw_pipeline.fhir_client.budget import Budget
from ecw_pipeline.fhir_client.session import open_session
from ecw_pipeline.layout import DataFolder
from ecw_pipeline.sandbox.server import SandboxConfig, Window, running_sandbox
from ecw_pipeline_tests.builders import connection, mode_of, monday_clock
from ecw_pipeline_tests.odd_server import OddServer, odd_server, raw

WIDE = (Window(1_000_000, 86_400.0, "calendar"),)


@pytest.fixture(scope="module")
def odd() -> Iterator[OddServer]:
    with odd_server() as running:
        yield running


def test_a_session_reads_json_from_the_server_it_is_connected_to(tmp_path: Path) -> None:
    clock = ManualClock(datetime.now(UTC))
    with running_sandbox(SandboxConfig(port=0, patients=1, windows=WIDE)) as sandbox:
        one = connection(sandbox.base_url)
        with open_session(one, DataFolder(tmp_path), clock) as session:
            statement = session.get_json(f"{sandbox.base_url}/metadata")

    assert statement["resourceType"] == "CapabilityStatement"
    # Discovery, token and the document itself: three requests.
    spent = Budget(DataFolder(tmp_path).budget("practice"), one.windows, clock).usage()
    assert [count for _, count in spent.calendar_counts.values()] == [3]
    assert mode_of(DataFolder(tmp_path).token("practice")) == 0o600


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (raw(404, b"{}"), ProtocolError),
        (raw(401, b"<html>no</html>"), ProtocolError),
        (raw(200, b"<html>sign in</html>"), ProtocolError),
        (raw(200, b"[1]"), ProtocolError),
        (raw(301, location="/elsewhere"), ProtocolError),
        (raw(429), TemporaryError),
        (raw(503, b'{"resourceType":"OperationOutcome"}'), TemporaryError),
        (b"", TemporaryError),
    ],
)
def test_who_must_act_when_there_is_no_document(
    odd: OddServer, tmp_path: Path, reply: bytes, error: type[EcwError]
) -> None:
    url = odd.answers("/r4/metadata", reply)
    one = replace(connection(odd.url + "/r4"), auth_kind="none")
    with (
        open_session(one, DataFolder(tmp_path), monday_clock()) as session,
        pytest.raises(error) as caught,
    ):
        session.get_json(url + "?code=s3cret")

    assert caught.value.next_step
    assert "s3cret" not in str(caught.value)


def test_no_request_of_a_session_goes_out_in_plain_http(tmp_path: Path) -> None:
    one = replace(connection(), auth_kind="none")
    with (
        open_session(one, DataFolder(tmp_path), monday_clock()) as session,
        pytest.raises(ProtocolError, match="not https"),
    ):
        session.get_json("http://192.0.2.1/metadata")
