"""Practices that Dagster looks after."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from ecw_pipeline_tests.defs.small import Unattended, unattended


@pytest.fixture
def one(tmp_path: Path) -> Iterator[Unattended]:
    with unattended(tmp_path) as made:
        yield made


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[Unattended]:
    """Dagster's records are on the disk, for other processes and for runs repeated."""
    with unattended(tmp_path, is_kept=True) as made:
        yield made


@pytest.fixture
def slow(tmp_path: Path) -> Iterator[Unattended]:
    """Its server needs a day for an export."""
    with unattended(tmp_path, export_seconds=86_400.0) as made:
        yield made
