"""Code lists: which codes mean what a mart asks for. Ours are free to use; yours add to them.

An ICD-10 code in a list is a category, its first three characters; all else is compared whole.
"""

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import resources as package_files
from pathlib import Path

from ecw_pipeline.errors import ConfigurationError

COLUMNS = ("list", "system", "code", "meaning")


@dataclass(frozen=True)
class Code:
    """One code of one list."""

    list_name: str
    system: str
    code: str
    meaning: str


def code_lists(own: Path | None) -> list[Code]:
    """The codes of every list, those of the user's file after ours.

    Raises:
        ConfigurationError: the file cannot be read, or names a list that no mart asks for.
    """
    ours = list(_read(Path(str(package_files.files(__package__))) / "codes.csv"))
    return ours if own is None else ours + list(_added(own, {code.list_name for code in ours}))


def _added(path: Path, known: set[str]) -> Iterator[Code]:
    for line, code in enumerate(_read(path), start=2):
        if code.list_name not in known:
            raise ConfigurationError(
                f"{path}, line {line}: no mart asks for a list {code.list_name!r}",
                f"use one of: {', '.join(sorted(known))}",
            )
        yield code


def _read(path: Path) -> Sequence[Code]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as lines:
            rows = csv.DictReader(lines)
            if missing := set(COLUMNS[:3]) - set(rows.fieldnames or ()):
                raise ConfigurationError(
                    f"{path} has no column {', '.join(sorted(missing))}",
                    f"its first line names its columns: {','.join(COLUMNS)}",
                )
            return [Code(*((row.get(name) or "").strip() for name in COLUMNS)) for row in rows]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ConfigurationError(
            f"the code lists {path} cannot be read: {error}", "mend the file that ECW_CODES names"
        ) from error
