"""Which tables there are: every ViewDefinition JSON here and in the user's own folder."""

import re
from importlib import resources as package_files
from pathlib import Path
from typing import Any

from ecw_pipeline.errors import ConfigurationError, UnsupportedViewError
from ecw_pipeline.files import read_json

_TABLE_NAME = re.compile(r"^[a-z][a-z0-9_]*\Z")


def built_in_views() -> dict[str, dict[str, Any]]:
    """The views of this package by name, in alphabetical order."""
    return read_views(Path(str(package_files.files(__package__))))


def read_views(folder: Path) -> dict[str, dict[str, Any]]:
    """The views in a folder by name, in the order of their files.

    Raises:
        ConfigurationError: the folder is missing.
        UnsupportedViewError: a file holds no view, or two hold views of one name.
        BadDataError: a file is not JSON.
    """
    if not folder.is_dir():
        raise ConfigurationError(
            f"ECW_VIEW_DEFINITIONS names {folder}, which is no folder",
            "create it, or correct the setting",
        )
    views: dict[str, dict[str, Any]] = {}
    for path in sorted(folder.glob("*.json")):
        view = read_json(path)
        name = view.get("name") if isinstance(view, dict) else None
        if not isinstance(name, str) or "select" not in view:
            raise UnsupportedViewError(
                f"{path} holds no ViewDefinition", "it needs name, resource and select"
            )
        if not _TABLE_NAME.match(name):
            raise UnsupportedViewError(
                f"{path} names its table {name!r}",
                "use lower-case letters, digits and _: names in SQL do not tell case apart",
            )
        if name in views:
            raise UnsupportedViewError(
                f"{path} holds a second view named {name!r}", "give it another name"
            )
        views[name] = view
    return views


def all_views(user_folder: Path | None) -> dict[str, dict[str, Any]]:
    """Built-in views, with the user's own added; a user's view of the same name takes its place."""
    built_in = built_in_views()
    own = read_views(user_folder) if user_folder else {}
    for name, view in own.items():
        if name in built_in and view.get("resource") != built_in[name]["resource"]:
            raise UnsupportedViewError(
                f"{user_folder} holds a view {name!r} over {view.get('resource')}, but the built-in"
                f" table of that name is of {built_in[name]['resource']}",
                "give it another name",
            )
    return built_in | own
