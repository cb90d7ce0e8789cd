"""Which marts there are: every SQL file here, and what the comments at its head say.

The first line is the question that the mart answers; its grain, keys and caveats follow, and under
``Columns:`` the meaning of each, but for those that every mart has alike. What several marts must
decide in the same way is a rule: a SQL macro in ``rules/``, for anybody's own queries too.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources as package_files
from pathlib import Path

_ALIKE = {
    "connection_id": "The connection (practice) it came from",
    "patient_id": "The patient: FHIR id",
}
_MEANING = re.compile(r"^--   (\w+): (.*(?:\n--     .*)*)", re.MULTILINE)
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

    @property
    def caveats(self) -> str:
        """Grain, keys and what to know before its figures are used."""
        told, _, _ = self.sql.partition("\n-- Columns:\n")
        return " ".join(line.removeprefix("--").strip() for line in told.splitlines()[1:])

    @property
    def meanings(self) -> Mapping[str, str]:
        """What its columns mean, by name."""
        told = _MEANING.findall(self.sql)
        return _ALIKE | {name: text.replace("\n--     ", " ") for name, text in told}


@dataclass(frozen=True)
class Rule:
    """A scalar macro, and what it tells: the comments that its file begins with."""

    name: str
    sql: str
    meaning: str

    @property
    def signature(self) -> str:
        """How it is called."""
        _, _, rest = self.sql.partition("MACRO ")
        return rest[: rest.index(")") + 1]


def built_in_rules() -> list[Rule]:
    """The rules of this package in alphabetical order: none uses one that comes after it."""
    folder = Path(str(package_files.files(__package__))) / "rules"
    return [_read_rule(path) for path in sorted(folder.glob("*.sql"))]


def _read_rule(path: Path) -> Rule:
    sql = path.read_text(encoding="utf-8")
    comments = (line for line in sql.splitlines() if line.startswith("--"))
    return Rule(path.stem, sql, " ".join(line.removeprefix("--").strip() for line in comments))


def built_in_marts() -> dict[str, Mart]:
    """The marts of this package by name, in alphabetical order."""
    folder = Path(str(package_files.files(__package__)))
    return {path.stem: _read(path) for path in sorted(folder.glob("*.sql"))}


def _read(path: Path) -> Mart:
    sql = path.read_text(encoding="utf-8")
    question = sql.splitlines()[0].removeprefix("--").strip()
    return Mart(path.stem, question, sql)
