"""People are told by a webhook: of a run, a check, or an export that fails, and nothing else."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import dagster as dg
import pytest
from pydantic import SecretStr

from ecw_pipeline.defs.alerts import alert_of_failed_checks, alert_of_failed_runs
from ecw_pipeline.settings import Settings
from ecw_pipeline.stages.alerts import alert
from ecw_pipeline_tests.defs.small import QUIET, Unattended, small_job
from ecw_pipeline_tests.stages.practice import DAY, practice, small_data, write_lines
from ecw_pipeline_tests.stages.proxy import status


class Pager:
    """Takes messages; answers with ``code``."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.code = 200
        pager = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                pager.texts.append(json.loads(body)["text"])
                self.send_response(pager.code)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/s3cret-path"


@pytest.fixture
def pager(monkeypatch: pytest.MonkeyPatch) -> Iterator[Pager]:
    made = Pager()
    thread = threading.Thread(target=made.server.serve_forever, args=(0.01,))
    thread.start()
    monkeypatch.setenv("ECW_ALERT_WEBHOOK", made.url)
    yield made
    made.server.shutdown()
    thread.join()
    made.server.server_close()


def _settings(url: str) -> Settings:
    return Settings.from_environment().model_copy(update={"alert_webhook": SecretStr(url)})


def _run(instance: dg.DagsterInstance) -> dg.ExecuteInProcessResult:
    return small_job("incremental_sync").execute_in_process(
        instance=instance,
        tags={"dagster/partition": DAY},
        run_config=QUIET,
        raise_on_error=False,
    )


def test_a_run_that_fails_is_told_with_what_to_do(tmp_path: Path, pager: Pager) -> None:
    with (
        practice(tmp_path, data=small_data(tmp_path / "lines")) as one,
        dg.DagsterInstance.ephemeral() as instance,
    ):
        one.proxy.spoil("$export-file", status(403))
        result = _run(instance)
        context = dg.build_run_status_sensor_context(
            sensor_name="alert_of_failed_runs",
            dagster_event=result.get_run_failure_event(),
            dagster_instance=instance,
            dagster_run=result.dagster_run,
        ).for_run_failure()
        alert_of_failed_runs(context)

    (text,) = pager.texts
    assert text.startswith("ecw_pipeline: incremental_sync failed (run ")
    assert "→" in text


def test_a_check_that_fails_is_told_and_one_that_warns_is_not(
    tmp_path: Path, pager: Pager, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = write_lines(
        tmp_path / "lines", "Patient", {"resourceType": "Patient", "id": "ann", "shoe": 44}
    )
    with (
        practice(tmp_path, data=data) as one,
        dg.DagsterInstance.ephemeral() as instance,
    ):
        for threshold in ("1", "0.5"):
            one.set("ECW_VALIDATION_FAIL", threshold)
            result = _run(instance)
            assert result.success
            alert_of_failed_checks(
                dg.build_run_status_sensor_context(
                    sensor_name="alert_of_failed_checks",
                    dagster_event=result.get_run_success_event(),
                    dagster_instance=instance,
                    dagster_run=result.dagster_run,
                )
            )

    assert pager.texts == [
        "ecw_pipeline: incremental_sync: failed checks: resources_valid of core/patient"
    ]


@pytest.mark.parametrize("code", [404, 500])
def test_an_alert_that_is_refused_is_said_without_its_address(pager: Pager, code: int) -> None:
    pager.code = code

    assert alert(_settings(pager.url), "x") == f"the alert was refused: HTTP {code}"


@pytest.mark.parametrize("url", ["http://127.0.0.1:9/s3cret", "nonsense", "http://[bad"])
def test_an_alert_that_cannot_be_sent_stops_nothing(url: str) -> None:
    problem = alert(_settings(url), "x")

    assert problem.startswith("the alert could not be sent: ")
    assert "s3cret" not in problem


def test_without_a_webhook_or_words_nothing_is_sent(pager: Pager) -> None:
    assert alert(_settings(pager.url), "") == ""
    assert alert(Settings.from_environment().model_copy(update={"alert_webhook": None}), "x") == ""
    assert pager.texts == []


def test_an_export_that_is_stuck_is_told_once(slow: Unattended, pager: Pager) -> None:
    slow.run("request_exports", DAY)
    for hours in (0.01, 1.1, 0.1):
        slow.practice.clock.advance(hours * 3600)
        slow.tick()

    (text,) = pager.texts
    assert "has made no progress since" in text
