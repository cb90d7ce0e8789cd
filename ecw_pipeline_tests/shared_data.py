"""Data that is not part of this repository: found beside it, or where ECW_SHARED_TESTS says."""

import os
from pathlib import Path

import pytest


def shared_folder(name: str) -> Path:
    """A folder of shared test data; skips the test where it is absent, fails it in CI."""
    root = os.environ.get("ECW_SHARED_TESTS") or Path(__file__).parents[2] / "shared"
    folder = Path(root) / name
    if not folder.is_dir():
        reason = f"no {folder.name} data: set ECW_SHARED_TESTS to the folder that holds it"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    return folder
