"""The documents of current resources: decoded where they have landed, else fetched, last of all.

Each is written down in the ledger before it is asked for. Killed anywhere, the next run goes on:
what is there is not fetched again.
"""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from threading import Lock
from urllib.parse import urljoin

from ecw_pipeline.attachments.declared import (
    Declared,
    Outcome,
    Rules,
    kind_of,
    too_large,
    unwanted,
)
from ecw_pipeline.attachments.download import fetch
from ecw_pipeline.attachments.inline import keep_inline
from ecw_pipeline.attachments.pdf import lacks_text, read_text
from ecw_pipeline.attachments.store import Store
from ecw_pipeline.errors import (
    BadDataError,
    ConfigurationError,
    EcwError,
    MachineError,
    TemporaryError,
)
from ecw_pipeline.fhir_client.session import Session, open_session
from ecw_pipeline.landing.landing import LandingPaths
from ecw_pipeline.landing.ndjson import numbered_lines
from ecw_pipeline.ledger_rows import Attachment
from ecw_pipeline.stages.lake import Lake
from ecw_pipeline.stages.loading import load_exports
from ecw_pipeline.stages.progress import Step, silent
from ecw_pipeline.warehouse.attachments import Listed, count_listed, listed, states
from ecw_pipeline.warehouse.database import read_published

FETCHES_AT_A_TIME = 4
BATCH_ROWS = 500
# So many failures in a row mean that the server is not there.
HOPELESS = 8
# What only a person can tell to be worth another try.
_SETTLED_FOR_GOOD = ("gone", "refused", "wrong_type", "changed", "unreadable")


@dataclass(frozen=True)
class Attached:
    """How the attachments of current resources stand, by connection and state.

    ``settled`` is how many of them this run decided; ``fetched`` those it brought or decoded.
    """

    states: dict[str, dict[str, int]]
    settled: int
    fetched: int


def fetch_attachments(
    lake: Lake, errors: list[EcwError], step: Step = silent, *, retry: bool = False
) -> Attached:
    """Bring the attachments that are missing, and tell the warehouse.

    What failed before is tried again; what the server had no more or refused only with ``retry``.
    A connection that cannot be asked leaves its error in ``errors``.

    Raises:
        ConfigurationError: there is no warehouse to say which attachments there are.
        BadDataError, MachineError: a received file is damaged or gone, or the disk is full.
    """
    folder = lake.folder
    if not folder.warehouse.exists():
        raise ConfigurationError(
            f"there is no warehouse at {folder.warehouse}", "fill it first: ecw export, or ecw demo"
        )
    runs = []
    with lake.only_one("attachments"):
        load_exports(lake)
        for connection in lake.usable_connections(errors):
            with open_session(connection, folder, lake.clock) as session:
                runs.append(_Run(lake, session, retry))
                try:
                    runs[-1].settle_all(step)
                except (BadDataError, MachineError):
                    raise
                except EcwError as error:
                    errors.append(error)
        load_exports(lake)
    with read_published(folder.warehouse) as warehouse:
        told = states(warehouse)
    return Attached(told, sum(run.settled for run in runs), sum(run.fetched for run in runs))


@dataclass
class _Run:
    """One run over one connection."""

    lake: Lake
    session: Session
    retry: bool
    settled: int = 0
    fetched: int = 0
    _failed_before: bool = False
    _failed_now: set[str] = field(default_factory=set)
    _reading: Lock = field(default_factory=Lock)
    _in_a_row: list[TemporaryError] = field(default_factory=list)

    def __post_init__(self) -> None:
        settings = self.lake.settings
        self._store = Store(self.lake.folder.attachments)
        self._rules = Rules(settings.attachment_types, settings.max_attachment_megabytes << 20)
        self._lines = _Lines(self.lake, self.session.connection.connection_id)

    def settle_all(self, step: Step) -> None:
        """New ones first: what failed before may fail again, and must not keep others waiting."""
        for batch in self._batches(step):
            self._settle(batch, is_again=False)
        if self._failed_before:
            for batch in self._batches(silent):
                self._settle(batch, is_again=True)

    def _batches(self, step: Step) -> Iterator[list[Listed]]:
        connection = self.session.connection
        name, seen = connection.connection_id, 0
        with read_published(self.lake.folder.warehouse) as warehouse:
            total = count_listed(warehouse, name)
            for batch in listed(warehouse, name, connection.base_url, BATCH_ROWS):
                yield batch
                seen += len(batch)
                step(f"attachments of {name}", seen, total)

    def _settle(self, batch: Sequence[Listed], *, is_again: bool) -> None:
        name = self.session.connection.connection_id
        planned = [
            {
                "attachment_id": one.attachment_id,
                "connection_id": name,
                "sha1": one.sha1,
                "declared_bytes": one.declared_bytes,
            }
            for one in batch
        ]
        known = self.lake.ledger.plan_attachments(planned)
        for earlier in known.values():
            self._catch_up(earlier)
        due = [one for one in batch if self._is_due(known[one.attachment_id], is_again=is_again)]
        for one in due:
            if one.held_in:
                self._count(one, self._decided(one))
        self._fetch_all([one for one in due if not one.held_in])

    def _is_due(self, known: Attachment, *, is_again: bool) -> bool:
        if known.state == "failed":
            self._failed_before = True
            return is_again and known.attachment_id not in self._failed_now
        return not is_again and (
            known.state == "planned"
            or (known.state == "fetched" and not self._store.has(known.sha256))
            or (known.state == "too_large" and known.size_bytes <= self._rules.max_bytes)
            or (known.state == "unwanted" and self._rules.wants(known.content_type))
            or (known.state in _SETTLED_FOR_GOOD and self.retry)
        )

    def _fetch_all(self, due: Sequence[Listed]) -> None:
        """Fetch a few at a time; those that are said to be the same one after the other.

        Raises:
            TemporaryError: none can be had now; what is left is for the next run.
        """
        same: dict[str, list[Listed]] = {}
        for one in due:
            same.setdefault(one.sha1 or one.attachment_id, []).append(one)
        groups = list(same.values())
        with ThreadPoolExecutor(FETCHES_AT_A_TIME, thread_name_prefix="attachment") as pool:
            for start in range(0, len(groups), FETCHES_AT_A_TIME):
                chosen = groups[start : start + FETCHES_AT_A_TIME]
                for group, outcomes in zip(chosen, pool.map(self._decide, chosen), strict=True):
                    for one, outcome in zip(group, outcomes, strict=True):
                        self._count(one, outcome)
                self._require_hope()

    def _decide(self, group: Sequence[Listed]) -> list[Outcome]:
        return [self._decided(one) for one in group]

    def _decided(self, one: Listed) -> Outcome:
        """What comes of an attachment; written down at once."""
        declared = Declared(one.declared_type, one.declared_bytes, one.sha1)
        outcome = self._by_rules(declared)
        if not outcome and one.held_in:
            line = self._lines.line(*one.held_in)
            outcome = keep_inline(
                line, one.element, one.ordinal, declared, self._rules, self._store
            )
        outcome = outcome or self._twin(declared) or self._fetched(one, declared)
        self.lake.ledger.mark_attachment(one.attachment_id, **asdict(outcome))
        if outcome.state == "fetched":
            self._read(outcome.sha256, outcome.content_type)
        return outcome

    def _read(self, sha256: str, content_type: str) -> bool:
        """Read the text that takes time to read, if that is still to be done; whether it was."""
        path = self._store.path(sha256)
        with self._reading:  # two may be the same file
            is_due = lacks_text(path, content_type)
            if is_due:
                read_text(path)
        return is_due

    def _catch_up(self, known: Attachment) -> None:
        """Read what was fetched when it could not be read, and have the warehouse told again."""
        is_there = known.state == "fetched" and self._store.has(known.sha256)
        if is_there and self._read(known.sha256, known.content_type):
            self.lake.ledger.mark_attachment(known.attachment_id, state="fetched")

    def _count(self, one: Listed, outcome: Outcome) -> None:
        self.settled += 1
        self.fetched += outcome.state == "fetched"
        if outcome.state == "failed":
            self._failed_now.add(one.attachment_id)

    def _require_hope(self) -> None:
        if len(self._in_a_row) >= HOPELESS:
            raise TemporaryError(
                f"the last {len(self._in_a_row)} requests for attachments all failed;"
                f" {self._in_a_row[-1].message}",
                "run again later: ecw attachments continues where it stopped",
            )

    def _by_rules(self, declared: Declared) -> Outcome | None:
        if declared.content_type and not self._rules.wants(declared.content_type):
            return unwanted(declared.content_type)
        if (declared.size_bytes or 0) > self._rules.max_bytes:
            return too_large(declared.size_bytes or 0, self._rules)
        return None

    def _twin(self, declared: Declared) -> Outcome | None:
        """The file of an attachment that was declared to be the same, if we have it."""
        if not declared.digest:
            return None
        name = self.session.connection.connection_id
        for one in self.lake.ledger.fetched_attachments(name, declared.sha1):
            is_same_size = one.declared_bytes == declared.size_bytes
            if is_same_size and self._store.has(one.sha256):
                known = one.content_type if kind_of(one.content_type) else declared.content_type
                return Outcome("fetched", one.sha256, one.size_bytes, known)
        return None

    def _fetched(self, one: Listed, declared: Declared) -> Outcome:
        try:
            url = urljoin(f"{self.session.connection.base_url}/", one.url)
        except ValueError:
            return Outcome("unreadable", error="its url is none → have the resource mended")
        name = one.attachment_id
        try:
            outcome = fetch(self.session, url, declared, self._rules, self._store, name)
        except TemporaryError as error:
            self._in_a_row.append(error)
            return Outcome("failed", error=str(error))
        self._in_a_row.clear()
        return outcome


class _Lines:
    """The lines of landed files, asked for in their order; each file is read once."""

    def __init__(self, lake: Lake, connection_id: str) -> None:
        self._lake, self._connection_id = lake, connection_id
        self._path: Path | None = None
        self._lines: Iterator[tuple[int, bytes]] = iter(())
        self._last = (0, b"")

    def line(self, export_id: str, source_file: str, source_line: int) -> bytes:
        """One line, as it was received.

        Raises:
            BadDataError: the file is damaged, or has no such line any more.
            MachineError: the file is gone.
        """
        export = self._lake.folder.export(self._connection_id, export_id)
        path = LandingPaths(export, source_file).received
        if path != self._path or source_line < self._last[0]:
            self._path, self._lines, self._last = path, numbered_lines(path), (0, b"")
        while self._last[0] < source_line:
            self._last = next(self._lines, (source_line + 1, b""))
        if self._last[0] != source_line:
            raise BadDataError(
                f"{path} has no line {source_line} any more",
                "restore it from a backup: received files are never changed",
            )
        return self._last[1]
