"""The compiler's SQL changes only on purpose."""

import pytest

from ecw_pipeline_tests.sql_on_fhir.golden_sql import FOLDER, GOLDEN, compiled_sql, golden_path


@pytest.mark.parametrize("name", GOLDEN)
def test_the_sql_of_a_view_is_as_it_was(name: str) -> None:
    kept = golden_path(name).read_text(encoding="utf-8")

    assert compiled_sql(name) == kept, "if this is meant: make golden, and read the diff"


def test_nothing_is_kept_that_nothing_makes() -> None:
    assert sorted(FOLDER.iterdir()) == sorted(map(golden_path, GOLDEN))
