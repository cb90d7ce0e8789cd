"""What is wrong with a view, said so that its author can point at it.

Every stage adds to one `Problems` list and goes on; the compiler raises once, with all of them.
"""

import difflib
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, field

from ecw_pipeline.errors import UnsupportedViewError

# What of a path is shown; with its indentation it fits 80 columns.
_EXCERPT_CHARACTERS = 68
# Nothing that FHIR names is longer.
_LONGEST_NAME = 100


@dataclass(frozen=True)
class Problem:
    """One fault: where in the view's JSON, and for a path, at which character of it."""

    where: str
    message: str
    path: str = ""
    at: int | None = None

    def __str__(self) -> str:
        lines = [_printable(f"{self.where}: {self.message}" if self.where else self.message)]
        if self.at is not None:
            lines += _caret_lines(self.path, self.at)
        return "\n".join(lines)


class ViewError(UnsupportedViewError):
    """All problems of one view, and what it was warned of besides."""

    def __init__(
        self, view_name: str, problems: Iterable[Problem], warnings: Iterable[Problem] = ()
    ) -> None:
        self.problems = tuple(problems)
        self.warnings = tuple(map(str, warnings))
        listed = "\n".join(f"- {problem}" for problem in self.problems)
        super().__init__(f"view {view_name or '(unnamed)'} cannot be compiled:\n{listed}")


class PathError(Exception):
    """Raised inside one FHIRPath; becomes a `Problem` where the path is known."""

    def __init__(self, message: str, at: int) -> None:
        super().__init__(message)
        self.message = message
        self.at = at


@dataclass
class Problems:
    """The faults and warnings found so far in one view."""

    found: dict[Problem, None] = field(default_factory=dict)
    warnings: dict[Problem, None] = field(default_factory=dict)

    def add(self, where: str, message: str, path: str = "", at: int | None = None) -> None:
        """Note a fault, once: a path of `repeat` is read twice."""
        self.found[Problem(where, message, path, at)] = None

    def warn(self, where: str, message: str, path: str = "", at: int | None = None) -> None:
        """Note what is allowed but probably not meant, once."""
        self.warnings[Problem(where, message, path, at)] = None

    def raise_any(self, view_name: str) -> None:
        """Raise what was found, if anything was.

        Raises:
            ViewError: there is at least one problem.
        """
        if self.found:
            raise ViewError(view_name, self.found, self.warnings)


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """`` (did you mean `given`?)`` when something known is near, else nothing."""
    if len(name) > _LONGEST_NAME:
        return ""
    names = list(known)
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.6)
    if not near and len(name) >= 4:
        # ``effectiveDate`` is nearer to ``effectiveDateTime`` than its ratio says.
        near = [candidate for candidate in names if candidate.lower().startswith(name.lower())]
    return f" (did you mean `{near[0]}`?)" if near else ""


def _caret_lines(path: str, at: int) -> list[str]:
    """The part of a path around a character, and a caret under the character."""
    start = max(0, min(at - _EXCERPT_CHARACTERS // 2, len(path) - _EXCERPT_CHARACTERS))
    end = start + _EXCERPT_CHARACTERS
    excerpt = _printable(path[start:end])
    before = "…" if start else ""
    after = "…" if end < len(path) else ""
    left = " " * (len(before) + _columns(path[start:at]))
    return [f"    {before}{excerpt}{after}", f"    {left}^"]


def _columns(text: str) -> int:
    """How many columns of a terminal a text takes."""
    wide = sum(unicodedata.east_asian_width(c) in "WF" for c in text)
    return len(text) + wide - sum(unicodedata.combining(c) > 0 for c in text)


def _printable(text: str) -> str:
    """As many characters, none of which a terminal obeys or cannot write."""
    return "".join(c if c.isprintable() else " " for c in text)
