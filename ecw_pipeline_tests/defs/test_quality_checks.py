"""Whether what servers send keeps FHIR's rules, seen in the UI."""

from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from ecw_pipeline.defs.quality_checks import RESOURCES_VALID, SCHEMA_STEADY
from ecw_pipeline_tests.defs.small import QUIET, small_job
from ecw_pipeline_tests.stages.practice import DAY, practice, write_lines

Evaluations = dict[str, dg.AssetCheckEvaluation]


def _run(folder: Path, settings: dict[str, str], *lines: dict[str, Any]) -> tuple[Evaluations, Any]:
    """Sync patients; the checks of `core.patient`, and what `ops.validation` says."""
    patients = ({"resourceType": "Patient", **line} for line in lines)
    data = write_lines(folder / "lines", "Patient", *patients)
    with practice(folder, data=data) as one, dg.DagsterInstance.ephemeral() as instance:
        for name, value in settings.items():
            one.set(name, value)
        job = small_job("incremental_sync")
        tags = {"dagster/partition": DAY}
        result = job.execute_in_process(instance=instance, tags=tags, run_config=QUIET)
        assert result.success
        said = one.rows("SELECT path, findings, source_line FROM ops.validation ORDER BY 1")
    found = result.get_asset_check_evaluations()
    key = dg.AssetKey(["core", "patient"])
    return {one.check_name: one for one in found if one.asset_key == key}, said


def test_what_keeps_the_rules_passes(tmp_path: Path) -> None:
    found, said = _run(tmp_path, {}, {"id": "ann", "birthDate": "1950-01-01"}, {"id": "bob"})

    assert found[RESOURCES_VALID].passed
    assert found[RESOURCES_VALID].metadata["lines_sampled"].value == 2
    assert found[SCHEMA_STEADY].passed
    assert said == []


@pytest.mark.parametrize(
    ("fail", "severity"),
    [("0.5", dg.AssetCheckSeverity.WARN), ("0.1", dg.AssetCheckSeverity.ERROR)],
)
def test_what_breaks_them_is_told_as_the_thresholds_say(
    tmp_path: Path, fail: str, severity: dg.AssetCheckSeverity
) -> None:
    settings = {"ECW_VALIDATION_FAIL": fail}
    found, said = _run(tmp_path, settings, {"id": "ann", "shoe": 44}, {"id": "bob"}, {"id": "cyd"})

    assert not found[RESOURCES_VALID].passed
    assert found[RESOURCES_VALID].severity == severity
    assert found[RESOURCES_VALID].metadata["lines_invalid"].value == 1
    assert "shoe" in str(found[RESOURCES_VALID].metadata["rules"].value)
    assert said == [("shoe", 1, 1)]


def test_a_threshold_lets_some_through_and_off_looks_at_none(tmp_path: Path) -> None:
    lines = ({"id": "ann", "shoe": 44}, {"id": "bob"})

    found, _ = _run(tmp_path / "a", {"ECW_VALIDATION_WARN": "0.5"}, *lines)
    assert found[RESOURCES_VALID].passed
    found, said = _run(tmp_path / "b", {"ECW_VALIDATE": "off"}, *lines)
    assert found[RESOURCES_VALID].passed
    assert found[RESOURCES_VALID].metadata["lines_sampled"].value == 0
    assert said == []
