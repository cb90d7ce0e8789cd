"""Checks of what servers send: whether it keeps FHIR's rules, and is made as it was before."""

from collections.abc import Iterator

import dagster as dg
import duckdb

from ecw_pipeline.settings import Settings
from ecw_pipeline.stages.tables import Table
from ecw_pipeline.warehouse.drift import Validity, drift, validity

RESOURCES_VALID = "resources_valid"
SCHEMA_STEADY = "schema_steady"
_MOST_TOLD = 20
_OF_CHANGES = (
    "nothing is lost: what has a column is in it; see docs/tables.md for what is in no table, and"
    " ask the provider about elements that vanished"
)


def quality_specs(table: Table) -> Iterator[dg.AssetCheckSpec]:
    """What is checked of the type of a main table."""
    key, name = ["core", table.name], table.resource_type
    words = f"The newest {name} resources keep FHIR's rules; ops.validation has what they break."
    yield dg.AssetCheckSpec(RESOURCES_VALID, asset=key, description=words)
    words = (
        f"The newest {name} resources have the elements, and types of elements, of earlier ones."
    )
    yield dg.AssetCheckSpec(SCHEMA_STEADY, asset=key, description=words)


def judge_quality(
    connection: duckdb.DuckDBPyConnection, table: Table, settings: Settings
) -> Iterator[dg.AssetCheckResult]:
    """The outcome of both checks; neither keeps anything from going on."""
    yield _judge_validity(table, validity(connection, table.resource_type), settings)
    changes = drift(connection, table.resource_type)
    told = [
        f"- {one.kind} `{one.path}`: {one.before or 'none'} → {one.now or 'none'}"
        for one in changes
    ]
    yield dg.AssetCheckResult(
        check_name=SCHEMA_STEADY,
        asset_key=["core", table.name],
        passed=not changes,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={
            "changes": len(changes),
            "paths": dg.MetadataValue.md("\n".join(told[:_MOST_TOLD]) or "none"),
            "next_step": _OF_CHANGES if changes else "none",
        },
    )


def _judge_validity(table: Table, found: Validity, settings: Settings) -> dg.AssetCheckResult:
    is_severe = found.invalid_share > settings.validation_fail
    return dg.AssetCheckResult(
        check_name=RESOURCES_VALID,
        asset_key=["core", table.name],
        passed=found.invalid_share <= settings.validation_warn,
        severity=dg.AssetCheckSeverity.ERROR if is_severe else dg.AssetCheckSeverity.WARN,
        metadata={
            "lines_sampled": found.lines_sampled,
            "lines_invalid": found.lines_invalid,
            "invalid_share": found.invalid_share,
            "rules": dg.MetadataValue.md(
                "\n".join(f"- {rule}" for rule in found.rules) or "none broken"
            ),
        },
    )
