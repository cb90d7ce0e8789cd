"""Row counts of every table against a plain reading of the JSON, resource by resource."""

from collections import Counter
from pathlib import Path

import pytest

from ecw_pipeline.fhir.resource_types import snake_case
from ecw_pipeline.sandbox.population.world import RESOURCE_TYPES
from ecw_pipeline_tests.shared_data import shared_folder
from ecw_pipeline_tests.view_definitions.counting import CHILD_ELEMENTS, rows_owed
from ecw_pipeline_tests.view_definitions.sources import Resources, population, synthea
from ecw_pipeline_tests.view_definitions.tables import (
    built_in_tables,
    example,
    main_table,
    rows_of,
    screened_file,
)

TABLES = sorted(built_in_tables())

every_table = pytest.mark.parametrize("name", TABLES)


@pytest.fixture(scope="module")
def served() -> Path:
    return shared_folder("synthea")


def test_every_child_table_is_counted() -> None:
    assert sorted(CHILD_ELEMENTS) == [
        name for name in TABLES if not built_in_tables()[name].is_main
    ]


@every_table
def test_real_resources_give_as_many_rows_as_their_json_has_items(name: str, served: Path) -> None:
    compare_counts(name, synthea(served, built_in_tables()[name].resource_type))


@every_table
def test_made_up_resources_give_as_many_rows_as_their_json_has_items(name: str) -> None:
    kind = built_in_tables()[name].resource_type
    resources = population()[kind]

    assert resources or kind not in RESOURCE_TYPES
    compare_counts(name, resources or [example(main_table(name))["resource"]])


def compare_counts(name: str, resources: Resources) -> None:
    key = f"{snake_case(built_in_tables()[name].resource_type)}_id"
    with screened_file(resources) as path:
        counted = Counter(row[key] for row in rows_of(name, path, key))

    owed = Counter({resource["id"]: rows_owed(name, resource) for resource in resources})
    assert counted == +owed
