"""Every column of every table against a plain reading of the same view and JSON.

The plain reading walks FHIRPath over the resources, one by one; it shares no code with the
compiler.
"""

import random
from pathlib import Path

import pytest

from ecw_pipeline_tests.shared_data import shared_folder
from ecw_pipeline_tests.sql_on_fhir.plain_comparison import compiled_outcome, plain_outcome
from ecw_pipeline_tests.view_definitions.sources import Resources, population, synthea
from ecw_pipeline_tests.view_definitions.tables import built_in_tables, example, main_table

TABLES = sorted(built_in_tables())
# Of more, reading one by one would take minutes.
MOST_RESOURCES = 60


@pytest.fixture(scope="module")
def served() -> Path:
    return shared_folder("synthea")


@pytest.mark.parametrize("name", TABLES)
def test_every_column_is_what_a_plain_reading_gives(name: str, served: Path) -> None:
    table = built_in_tables()[name]
    resources = [
        example(main_table(name))["resource"],
        *_some(population()[table.resource_type]),
        *_some(synthea(served, table.resource_type)),
    ]
    view = table.view

    rows = compiled_outcome(view, resources)

    assert rows == plain_outcome(view, resources)
    assert rows


def _some(resources: Resources) -> Resources:
    return random.Random(5).sample(resources, min(len(resources), MOST_RESOURCES))
