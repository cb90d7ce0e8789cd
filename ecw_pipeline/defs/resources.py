"""Dagster's resources, configured from the environment. Opened when used, not when loaded."""

from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg
import duckdb

from ecw_pipeline.bulk_export.client import BulkExportClient
from ecw_pipeline.defs.run_owners import hold
from ecw_pipeline.ledger import Ledger
from ecw_pipeline.stages.lake import Lake
from ecw_pipeline.warehouse.database import read_published


class BulkExportClientResource(dg.ConfigurableResource):  # type: ignore[type-arg]
    """A Bulk Data client; every request pays the connection's shared budget."""

    @contextmanager
    def open(self, connection_id: str) -> Iterator[BulkExportClient]:
        """Speak to one connection's server."""
        with Lake.from_environment().client(connection_id) as client:
            yield client


class LedgerResource(dg.ConfigurableResource):  # type: ignore[type-arg]
    """The record of exports and files."""

    def open(self) -> Ledger:
        return Lake.from_environment().ledger


class WarehouseResource(dg.ConfigurableResource):  # type: ignore[type-arg]
    """The published warehouse, for reading."""

    @contextmanager
    def read(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """Query the last published state."""
        with read_published(Lake.from_environment().folder.warehouse) as connection:
            yield connection


class LakeResource(dg.ConfigurableResource):  # type: ignore[type-arg]
    """Everything a stage needs: settings, ledger, clients, tables."""

    def setup_for_execution(self, context: dg.InitResourceContext) -> None:
        """Say that this process owns the run."""
        if context.run is not None:
            hold(Lake.from_environment(), context.run.run_id)

    def open(self) -> Lake:
        return Lake.from_environment()


def resources() -> dict[str, object]:
    """All resources by the names that assets ask for."""
    return {
        "lake": LakeResource(),
        "ledger": LedgerResource(),
        "bulk_export_client": BulkExportClientResource(),
        "warehouse": WarehouseResource(),
    }
