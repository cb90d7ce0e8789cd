"""The code location loads anywhere and offers what the views and marts say."""

import re
import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest

from ecw_pipeline.definitions import defs
from ecw_pipeline.fhir.resource_types import BRIEF_TYPES
from ecw_pipeline.marts.catalog import built_in_marts
from ecw_pipeline.stages.tables import all_tables

TABLES = all_tables(None)
GRAPH = defs.resolve_asset_graph()
KEYS = {key.to_user_string() for key in GRAPH.get_all_asset_keys()}


def test_every_table_has_its_assets() -> None:
    wanted = {f"{layer}/{name}" for layer in ("flat", "core") for name in TABLES}
    wanted |= {f"raw/{table.resource_type}" for table in TABLES.values()}

    assert wanted <= KEYS


def test_every_type_of_the_brief_is_landed_and_has_a_main_table() -> None:
    main = {table.resource_type for table in TABLES.values() if table.is_main}

    assert set(BRIEF_TYPES) <= main
    assert {f"raw/{name}" for name in BRIEF_TYPES} <= KEYS


def test_every_mart_has_an_asset_fed_by_the_tables_it_reads() -> None:
    for name, mart in built_in_marts().items():
        parents = {k.to_user_string() for k in GRAPH.get(dg.AssetKey(["marts", name])).parent_keys}
        read = {f"core/{table}" for table in re.findall(r"\bcore\.([a-z0-9_]+)", mart.sql)}
        assert parents == read


def test_the_layers_follow_each_other() -> None:
    def parents(key: str) -> set[str]:
        node = GRAPH.get(dg.AssetKey(key.split("/")))
        return {parent.to_user_string() for parent in node.parent_keys}

    assert parents("export_manifest") == {"export_request"}
    assert parents("raw/Observation") == {"export_manifest"}
    assert parents("flat/observation_component") == {"raw/Observation"}
    assert parents("core/observation") == {"flat/observation", "raw/other_types"}


@pytest.mark.parametrize("layer", ["flat", "core"])
def test_a_column_tells_its_meaning_and_the_elements_it_is_from(layer: str) -> None:
    schema = GRAPH.get(dg.AssetKey([layer, "observation_component"])).metadata[
        "dagster/column_schema"
    ]
    told = {column.name: column.description for column in schema.columns}

    assert told["value_unit"].endswith(" ← component.valueQuantity.unit")
    assert "←" not in told["export_id"]


def test_the_first_four_layers_are_daily_and_the_others_are_not() -> None:
    for key in GRAPH.get_all_asset_keys():
        is_daily = key.path[0] in ("export_request", "export_manifest", "raw", "flat")
        assert GRAPH.get(key).is_partitioned == is_daily


def test_a_backfill_is_one_run() -> None:
    policies = {GRAPH.get(key).backfill_policy for key in GRAPH.get_all_asset_keys()}

    assert policies == {dg.BackfillPolicy.single_run()}


def test_every_main_table_and_every_landed_type_has_a_check() -> None:
    checked = {key.asset_key.to_user_string() for key in GRAPH.asset_check_keys}

    assert {f"core/{t.name}" for t in TABLES.values() if t.is_main} <= checked
    assert {key for key in KEYS if key.startswith("raw/")} <= checked


def test_dagster_watches_the_freshness_of_every_table_and_of_what_is_made_of_them() -> None:
    watched = {key for key in GRAPH.get_all_asset_keys() if GRAPH.get(key).freshness_policy}

    tables = {dg.AssetKey(["core", name]) for name in TABLES}
    marts = {dg.AssetKey(["marts", name]) for name in built_in_marts()}
    assert watched == tables | marts | {dg.AssetKey("report")}


@pytest.mark.parametrize("settings", [{}, {"ECW_DATA": "/nowhere/at/all"}])
def test_the_code_location_loads_without_network_and_settings(
    tmp_path: Path, settings: dict[str, str]
) -> None:
    code = "import ecw_pipeline.definitions"
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path)} | settings

    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )

    assert (done.returncode, done.stderr) == (0, "")
    assert list(tmp_path.iterdir()) == []
