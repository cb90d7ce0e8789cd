"""A prepared practice, and how its pulls end when nothing happens to them; once per file."""

from collections.abc import Iterator

import pytest

from ecw_pipeline_tests.stages.interrupted import Prepared, Whole, prepared_practice, whole_run


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prepared]:
    with prepared_practice(tmp_path_factory.mktemp("prepared")) as one:
        yield one


@pytest.fixture(scope="module")
def after_changes(prepared: Prepared, tmp_path_factory: pytest.TempPathFactory) -> Whole:
    return whole_run(prepared, tmp_path_factory.mktemp("changes") / "data", is_first=False)


@pytest.fixture(scope="module")
def first(prepared: Prepared, tmp_path_factory: pytest.TempPathFactory) -> Whole:
    return whole_run(prepared, tmp_path_factory.mktemp("first") / "data", is_first=True)
