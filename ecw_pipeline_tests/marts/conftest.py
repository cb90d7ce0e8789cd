"""A warehouse with every built-in table, all of them empty."""

from collections.abc import Iterator

import pytest

from ecw_pipeline_tests.marts.warehouse import Warehouse, empty_warehouse


@pytest.fixture(scope="session")
def shared_warehouse(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Warehouse]:
    with empty_warehouse(tmp_path_factory.mktemp("marts")) as one:
        yield one


@pytest.fixture
def warehouse(shared_warehouse: Warehouse) -> Iterator[Warehouse]:
    """The shared one; what a test does to it is undone."""
    shared_warehouse.connection.begin()
    yield shared_warehouse
    shared_warehouse.connection.rollback()
