"""Where everything lies below the data folder. Paths only; nothing is read or written here."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class DataFolder:
    """The one folder that holds what the pipeline produces."""

    root: Path

    @property
    def warehouse(self) -> Path:
        """The published warehouse: complete, consistent, replaced atomically."""
        return self.root / "warehouse.duckdb"

    @property
    def report(self) -> Path:
        """The page of plots."""
        return self.root / "report.html"

    @property
    def state(self) -> Path:
        return self.root / "state"

    @property
    def working_warehouse(self) -> Path:
        """The private copy that loads write to."""
        return self.state / "warehouse.duckdb"

    @property
    def ledger(self) -> Path:
        return self.state / "ledger.sqlite"

    def budget(self, connection_id: str) -> Path:
        return self.state / "budget" / f"{connection_id}.json"

    def token(self, connection_id: str) -> Path:
        return self.state / "tokens" / f"{connection_id}.json"

    def sign_in(self, connection_id: str) -> Path:
        """The tokens of whoever signed in to a connection."""
        return self.state / "sign_ins" / f"{connection_id}.json"

    def offer(self, connection_id: str) -> Path:
        """What a connection's server last said it offers us."""
        return self.state / "offers" / f"{connection_id}.json"

    def cookies(self, connection_id: str) -> Path:
        return self.state / "cookies" / f"{connection_id}.json"

    @property
    def dagster(self) -> Path:
        return self.root / "dagster"

    @property
    def landing(self) -> Path:
        """What was received, one folder per connection."""
        return self.root / "landing"

    def export(self, connection_id: str, export_id: str) -> Path:
        """One export as received."""
        return self.landing / connection_id / export_id

    @property
    def attachments(self) -> Path:
        """Documents by their content, whoever names them."""
        return self.root / "attachments"

    @property
    def flat_tables(self) -> Path:
        """The rows that exports give tables, one folder per table."""
        return self.root / "flat"

    def flat(self, table: str, export_id: str) -> Path:
        """The rows one export gives one table."""
        return self.flat_tables / table / f"{export_id}.parquet"
