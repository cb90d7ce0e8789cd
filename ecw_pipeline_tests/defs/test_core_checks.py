"""What Dagster says of the warehouse's tables after each load."""

from datetime import datetime
from typing import Any

import dagster as dg

from ecw_pipeline.defs.core_checks import ONE_ROW_EACH, REFERENCES_RESOLVE, ROWS_SOUND
from ecw_pipeline.warehouse.database import working_warehouse
from ecw_pipeline_tests.defs.small import Unattended
from ecw_pipeline_tests.stages.practice import DAY

NEXT_DAY = "2026-01-06"
PATIENT, CONDITION = "core/patient", "core/condition"


def _checks(result: dg.ExecuteInProcessResult) -> dict[tuple[str, str], dg.AssetCheckEvaluation]:
    """The outcomes of a run by asset and check."""
    found = result.get_asset_check_evaluations()
    return {(one.asset_key.to_user_string(), one.check_name): one for one in found}


def _told(one: dg.AssetCheckEvaluation) -> dict[str, Any]:
    return {name: value.value for name, value in one.metadata.items()}


def _materialized(result: dg.ExecuteInProcessResult) -> set[str]:
    events = result.get_asset_materialization_events()
    return {event.asset_key.to_user_string() for event in events if event.asset_key}


def _spoil(one: Unattended, sql: str) -> None:
    """Do to the working warehouse what no load would do."""
    with working_warehouse(one.practice.lake.folder.working_warehouse) as connection:
        connection.execute(sql)


def test_after_a_load_every_check_of_every_table_has_passed(one: Unattended) -> None:
    checks = _checks(one.run("incremental_sync", DAY))

    core = {name: check for name, check in checks.items() if name[0].startswith("core/")}
    assert {name for name, check in core.items() if not check.passed} == set()
    assert _told(core[CONDITION, ROWS_SOUND]) == {"repeated_rows": 0, "stray_rows": 0}
    assert _told(core[CONDITION, REFERENCES_RESOLVE])["references"] == 20  # patient and subject
    assert {asset for asset, check in core if check == ONE_ROW_EACH} == {PATIENT, CONDITION}


def test_a_mart_says_up_to_when_all_that_it_reads_is_loaded_and_what_its_columns_mean(
    one: Unattended,
) -> None:
    result = one.run("incremental_sync", DAY)

    (event,) = (
        e
        for e in result.get_asset_materialization_events()
        if e.asset_key and e.asset_key.path[0] == "marts"
    )
    (export,) = one.exports()
    schema = event.materialization.metadata["dagster/column_schema"].value
    assert isinstance(schema, dg.TableSchema)
    assert [one for one in schema.columns if not one.description] == []
    assert schema.columns[0].type == "VARCHAR"
    at = event.materialization.metadata["complete_up_to"].value
    assert export.transaction_time == datetime.fromtimestamp(at, export.transaction_time.tzinfo)  # type: ignore[union-attr,arg-type]


def test_a_main_table_that_repeats_a_resource_keeps_marts_waiting(one: Unattended) -> None:
    one.run("incremental_sync", DAY)
    _spoil(one, "INSERT INTO core.patient FROM core.patient LIMIT 1")

    result = one.run("incremental_sync", NEXT_DAY)

    checks = _checks(result)
    assert not checks[PATIENT, ONE_ROW_EACH].passed
    assert _told(checks[PATIENT, ROWS_SOUND]) == {"repeated_rows": 1, "stray_rows": 0}
    assert checks[CONDITION, ONE_ROW_EACH].passed
    assert not {name for name in _materialized(result) if name.startswith("marts/")}


def test_a_reference_that_leads_nowhere_is_told_and_stops_nothing(one: Unattended) -> None:
    one.run("incremental_sync", DAY)
    _spoil(one, "UPDATE core.condition SET patient_id = 'nobody' WHERE condition_id = 'c1'")

    result = one.run("incremental_sync", NEXT_DAY)

    check = _checks(result)[CONDITION, REFERENCES_RESOLVE]
    assert (check.passed, check.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert _told(check)["unresolved"] == 1
    assert "marts/patients_by_age_band" in _materialized(result)
