"""A place for each command, and one small sandbox for all of them."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from ecw_pipeline.sandbox.config import SandboxConfig
from ecw_pipeline.sandbox.server import RunningSandbox, running_sandbox
from ecw_pipeline_tests.cli.command import Place
from ecw_pipeline_tests.pipeline.harness import WIDE


@pytest.fixture(autouse=True, scope="package")
def _heed_ctrl_c() -> None:
    """A shell lets what it runs in the background ignore Ctrl-C, and our commands inherit it."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


@pytest.fixture(scope="package")
def sandbox() -> Iterator[RunningSandbox]:
    config = SandboxConfig(port=0, patients=3, windows=WIDE, export_seconds=0.05)
    with running_sandbox(config) as running:
        yield running
