"""Which marts there are: every SQL file here. Its first comment line is the question it answers."""

import re
from dataclasses import dataclass
from importlib import resources as package_files
from pathlib import Path

_CORE_TABLE = re.compile(r"\bcore\.([a-z0-9_]+)")


@dataclass(frozen=True)
class Mart:
    """One mart: a query over `core` (and earlier marts), and the question it answers."""

    name: str
    question: str
    sql: str

    @property
    def core_tables(self) -> frozenset[str]:
        """The tables of `core` that it reads."""
        return frozenset(_CORE_TABLE.findall(self.sql))


def built_in_marts() -> dict[str, Mart]:
    """The marts of this package by name, in alphabetical order."""
    folder = Path(str(package_files.files(__package__)))
    return {path.stem: _read(path) for path in sorted(folder.glob("*.sql"))}


def _read(path: Path) -> Mart:
    sql = path.read_text(encoding="utf-8")
    question = sql.splitlines()[0].removeprefix("--").strip()
    return Mart(path.stem, question, sql)
