"""Which tables there are: every ViewDefinition JSON here and in the user's own folder."""

from importlib import resources as package_files
from pathlib import Path
from typing import Any

from ecw_pipeline.errors import ConfigurationError, UnsupportedViewError
from ecw_pipeline.files import read_json


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
        if name in views:
            raise UnsupportedViewError(
                f"{path} holds a second view named {name!r}", "give it another name"
            )
        views[name] = view
    return views


def all_views(user_folder: Path | None) -> dict[str, dict[str, Any]]:
    """Built-in views, with the user's own added; a user's view of the same name takes its place."""
    return built_in_views() | (read_views(user_folder) if user_folder else {})
