"""The doctor in the UI: run when somebody asks, and never by the jobs of every day."""

from pathlib import Path

import dagster as dg
import pytest

from ecw_pipeline.defs.automation import JOBS
from ecw_pipeline.defs.connection_check import NAME
from ecw_pipeline_tests.defs.small import small_job
from ecw_pipeline_tests.stages.practice import practice, small_data


def _examine(tmp_path: Path, **changes: object) -> dg.AssetCheckEvaluation:
    with practice(tmp_path, data=small_data(tmp_path / "lines")) as one:
        for name, value in changes.items():
            one.set(name, value)
        with dg.DagsterInstance.ephemeral() as instance:
            result = small_job("doctor").execute_in_process(instance=instance)
    (evaluation,) = result.get_asset_check_evaluations()
    return evaluation


def test_a_chain_that_holds_passes_with_every_link_told(tmp_path: Path) -> None:
    evaluation = _examine(tmp_path)

    links = str(evaluation.metadata["links"].value)
    assert evaluation.passed, links
    assert all(f"| {link} | ok |" in links for link in ("address", "token", "scopes"))


def test_a_broken_link_fails_with_the_next_step(tmp_path: Path) -> None:
    evaluation = _examine(tmp_path, ECLINICALWORKS_CLIENT_SECRET="wrong")

    assert not evaluation.passed
    broken = [row for row in str(evaluation.metadata["links"].value).split("\n") if "failed" in row]
    assert len(broken) == 1
    assert "ECLINICALWORKS_CLIENT_SECRET" in broken[0]
    assert "wrong" not in broken[0]


def test_settings_that_lack_something_are_told_beside_the_other_connections(
    tmp_path: Path,
) -> None:
    (tmp_path / "secret").write_text("secret")
    (tmp_path / "secret").chmod(0o600)
    connections = tmp_path / "connections.toml"
    connections.write_text(
        f"""
        [connections.north]
        client_id = "north"

        [connections.south]
        fhir_endpoint = "http://127.0.0.1:1/r4"
        client_id = "south"
        client_secret_file = "{tmp_path / "secret"}"
        """
    )

    evaluation = _examine(tmp_path, ECW_CONNECTIONS=connections)

    links = str(evaluation.metadata["links"].value)
    assert not evaluation.passed
    assert "| north | settings | failed |" in links
    assert "| south | network | failed |" in links


@pytest.mark.parametrize("name", [job.name for job in JOBS])
def test_only_its_own_job_asks_the_servers(name: str) -> None:
    steps = {node.name for node in small_job(name).all_node_defs}

    assert any(NAME in step for step in steps) == (name == "doctor")
