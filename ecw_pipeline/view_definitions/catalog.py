"""Which views there are: every ViewDefinition JSON here, and what the user's own folder holds."""

import json
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import resources as package_files
from pathlib import Path
from typing import Any

from ecw_pipeline.errors import ConfigurationError, EcwError, UnsupportedViewError
from ecw_pipeline.files import read_json

LONGEST_NAME = 63
# The table of documents, which is made from others and not from a view of a resource type.
ATTACHMENT = "attachment"
_TABLE_NAME = re.compile(r"[a-z][a-z0-9_]*")
_NOT_IN_NAMES = re.compile(r"[^a-z0-9]+")

Views = Mapping[str, dict[str, Any]]


def built_in_views() -> dict[str, dict[str, Any]]:
    """The views of this package by name, in alphabetical order."""
    folder = Path(str(package_files.files(__package__)))
    return {path.stem: read_json(path) for path in sorted(folder.glob("*.json"))}


@dataclass(frozen=True)
class OwnView:
    """What one file of the user's folder gives: a view, or the reason why it gives none.

    Args:
        file: its path, for people.
        name: its table; made from the file's own name where the view tells none.
        is_named: whether the view tells it.
        problem: why it gives none; empty where it does.
    """

    file: str
    name: str
    view: dict[str, Any]
    is_named: bool = True
    problem: str = ""
    next_step: str = ""


def _writable(text: str) -> str:
    """Text without half surrogate pairs, which file names may hold and nothing can write."""
    return text.encode(errors="replace").decode()


def own_views(folder: Path | None) -> dict[str, OwnView]:
    """What the files of the user's folder, if there is one, give by table. No file stops another.

    Files of one name refuse each other: which of them was meant is not for us to say. A file
    that cannot be read may still be the one that took a built-in view's place.

    Raises:
        ConfigurationError: the folder cannot be read.
    """
    if folder is None:
        return {}
    built_in = built_in_views()
    files = [_read(path, built_in) for path in _json_files(folder)]
    named: dict[str, list[OwnView]] = {}
    for file in files:
        if file.is_named:
            named.setdefault(file.name, []).append(file)
    views = {name: _the_only(twins) for name, twins in named.items()}
    for file in files:
        if not file.is_named:
            name = _free_name(file.name, {*views, *(built_in if file.view else ())})
            views[name] = replace(file, name=name)
    return views


def _json_files(folder: Path) -> list[Path]:
    """The JSON files of a folder, without those that systems and editors hide in it."""
    try:
        paths = sorted(folder.iterdir())
    except OSError as error:
        raise ConfigurationError(
            f"ECW_VIEW_DEFINITIONS names {folder}, which cannot be read as a folder:"
            f" {error.strerror}",
            "create it, or correct the setting",
        ) from error
    return [path for path in paths if path.suffix == ".json" and not path.name.startswith(".")]


def _read(path: Path, built_in: Views) -> OwnView:
    file = _writable(str(path))
    view: dict[str, Any] = {}
    try:
        view = _read_view(path)
        return OwnView(file, _table_name(path, view, built_in), view)
    except EcwError as error:
        problem = _writable(error.message)
        return OwnView(file, _name_of_file(path), view, False, problem, error.next_step)


def _read_view(path: Path) -> dict[str, Any]:
    try:
        view = read_json(path)
        json.dumps(view, ensure_ascii=False).encode()
    except OSError as error:
        raise UnsupportedViewError(
            f"{path} cannot be read: {error.strerror}", "make it readable, or take it away"
        ) from error
    except UnicodeEncodeError as error:
        raise UnsupportedViewError(
            f"{path} holds half a surrogate pair", "write the character after \\u whole"
        ) from error
    if not isinstance(view, dict) or (
        view.get("resourceType") != "ViewDefinition" and "select" not in view
    ):
        raise UnsupportedViewError(
            f"{path} holds no ViewDefinition",
            "it needs name, resource and select, one view per file; or take the file away",
        )
    return view


def _table_name(path: Path, view: dict[str, Any], built_in: Views) -> str:
    name = view.get("name")
    if not isinstance(name, str) or not name:
        raise UnsupportedViewError(f"{path} lacks a name", 'add "name": the table\'s name')
    if len(name) > LONGEST_NAME or not _TABLE_NAME.fullmatch(name):
        raise UnsupportedViewError(
            f"{path} names its table {name[: LONGEST_NAME + 1]!r}",
            f"use lower-case letters, digits and _, a letter first, {LONGEST_NAME} at most:"
            " names in SQL do not tell case apart",
        )
    if name == ATTACHMENT:
        raise UnsupportedViewError(
            f"{path} names its table {name}, which is that of documents", "give it another name"
        )
    kept_for = built_in.get(name, view).get("resource")
    if kept_for != view.get("resource"):
        raise UnsupportedViewError(
            f"{path} names its table {name}, which is the built-in table of {kept_for}",
            f"give it another name; only a view of {kept_for} can take that table's place",
        )
    return name


def _name_of_file(path: Path) -> str:
    """A table's name that tells which file it is."""
    words = _NOT_IN_NAMES.sub("_", path.stem.lower()).strip("_")
    name = words if words[:1].isalpha() else f"view_{words}".rstrip("_")
    return name[:LONGEST_NAME]


def _free_name(name: str, taken: Collection[str]) -> str:
    """A name that no other file has; a number tells it apart where one has."""
    numbered = (f"{name[: LONGEST_NAME - 5]}_{number}" for number in range(2, 10_000))
    return next(free for free in (name, *numbered) if free not in taken)


def _the_only(twins: Sequence[OwnView]) -> OwnView:
    """The one view of a name, or the refusal of all that share it."""
    first = twins[0]
    if len(twins) == 1:
        return first
    files = " and ".join(twin.file for twin in twins)
    problem = f"{files} all name their table {first.name}"
    return replace(first, view={}, problem=problem, next_step="give each a name of its own")
