"""What every stage works on: settings, ledger, clock, tables and marts."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Self

from ecw_pipeline.bulk_export.client import BulkExportClient
from ecw_pipeline.clock import Clock, SystemClock
from ecw_pipeline.errors import ConfigurationError, EcwError
from ecw_pipeline.fhir_client.providers import Connection, connect
from ecw_pipeline.fhir_client.session import open_session
from ecw_pipeline.fhir_client.tracing import trace_requests
from ecw_pipeline.files import PRIVATE_FILE_MODE, machine_errors, private_folder, read_json
from ecw_pipeline.layout import DataFolder
from ecw_pipeline.ledger import Ledger
from ecw_pipeline.marts.catalog import Mart, built_in_marts
from ecw_pipeline.marts.codes import Code, code_lists
from ecw_pipeline.settings import Settings
from ecw_pipeline.stages.tables import Table, all_tables


@dataclass(frozen=True)
class Lake:
    """One data folder with everything that is needed to fill it."""

    settings: Settings
    clock: Clock

    @classmethod
    def from_environment(cls) -> Self:
        """A lake as the environment describes it.

        Raises:
            ConfigurationError: a setting cannot be read.
        """
        settings = Settings.from_environment()
        if settings.traces_requests:
            trace_requests()
        return cls(settings, SystemClock())

    @property
    def folder(self) -> DataFolder:
        return self.settings.folder

    @cached_property
    def ledger(self) -> Ledger:
        return Ledger(self.folder.ledger, self.clock)

    @cached_property
    def tables(self) -> dict[str, Table]:
        """The tables by name; a view that cannot be compiled is a table that says why."""
        return all_tables(self.settings.view_definitions)

    @cached_property
    def marts(self) -> dict[str, Mart]:
        """The marts by name."""
        return built_in_marts()

    @cached_property
    def codes(self) -> list[Code]:
        """The code lists of the marts.

        Raises:
            ConfigurationError: the user's file cannot be read.
        """
        return code_lists(self.settings.codes)

    def connections(self) -> list[Connection]:
        """Every connection, complete.

        Raises:
            ConfigurationError: something needed is missing; the message names it.
        """
        return [connect(one) for one in self.settings.connections()]

    def usable_connections(self, errors: list[EcwError]) -> list[Connection]:
        """The connections that are complete; what is wrong with others is left in ``errors``."""
        usable = []
        for one in self.settings.connections():
            try:
                usable.append(connect(one))
            except ConfigurationError as error:
                errors.append(error)
        return usable

    def chosen_connection(self, connection_id: str) -> Connection:
        """The connection of that id; without one, the only one there is.

        Raises:
            ConfigurationError: there is none of that id, or several and none is named.
        """
        names = [one.connection_id for one in self.settings.connections()]
        if not connection_id and len(names) > 1:
            raise ConfigurationError(
                "there are several connections", f"choose: --connection {' or '.join(names)}"
            )
        return self.connection(connection_id or names[0])

    def connection(self, connection_id: str) -> Connection:
        """One connection.

        Raises:
            ConfigurationError: there is none of that id any more.
        """
        for one in self.settings.connections():
            if one.connection_id == connection_id:
                return connect(one)
        raise ConfigurationError(
            f"no connection {connection_id!r} is configured",
            "add it to the file that ECW_CONNECTIONS names, or set ECW_CONNECTION_ID",
        )

    @contextmanager
    def client(self, connection_id: str) -> Iterator[BulkExportClient]:
        """A Bulk Data client of one connection; a patient who signed in asks by search."""
        one = self.connection(connection_id)
        as_user = bool(self.signed_in_patient(one))
        with open_session(one, self.folder, self.clock, as_user=as_user) as session:
            yield BulkExportClient(session)

    def signed_in_patient(self, connection: Connection) -> str:
        """The patient that whoever signed in chose, where a connection is read by search.

        What they may see is of that patient alone: it says nothing of others (law 4). Whoever
        chose none is for `ecw search` alone, as nobody knows what they may see.
        """
        path = self.folder.sign_in(connection.connection_id)
        if connection.level != "search" or not path.exists():
            return ""
        return str(read_json(path).get("patient_id") or "")

    @contextmanager
    def only_one(self, what: str) -> Iterator[None]:
        """Let one process at a time do ``what``; the others wait for it.

        Raises:
            MachineError: the lock's file cannot be written.
        """
        path = private_folder(self.folder.state / "locks") / f"{what}.lock"
        with machine_errors(path):
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT, PRIVATE_FILE_MODE)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)
