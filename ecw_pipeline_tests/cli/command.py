"""`ecw` as a child process in a place of its own: data, working folder, temporary files."""

import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ecw_pipeline.sandbox.server import RunningSandbox
from ecw_pipeline_tests.pipeline.harness import WIDE_SETTING

ECW = (sys.executable, "-m", "ecw_pipeline.cli.app")
LONGEST_SECONDS = 300


@dataclass(frozen=True)
class Finished:
    """How a command ended, and which processes it left."""

    exit_code: int
    stdout: str
    stderr: str
    left_over: tuple[int, ...]


@dataclass(frozen=True)
class Place:
    """Where a command runs."""

    folder: Path

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def work(self) -> Path:
        """The working folder, where `.env` would be."""
        return self.folder / "work"

    @property
    def temporary(self) -> Path:
        return self.folder / "tmp"

    def start(
        self,
        *words: str,
        settings: Mapping[str, str] | None = None,
        program: tuple[str, ...] = ECW,
    ) -> "subprocess.Popen[str]":
        """Start the command in a session of its own, with these settings and no others."""
        self.work.mkdir(exist_ok=True)
        self.temporary.mkdir(exist_ok=True)
        kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        own = {"ECW_DATA": str(self.data), "TMPDIR": str(self.temporary), "COLUMNS": "200"}
        return subprocess.Popen(
            [*program, *words],
            cwd=self.work,
            env=kept | own | dict(settings or {}),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def run(
        self,
        *words: str,
        settings: Mapping[str, str] | None = None,
        program: tuple[str, ...] = ECW,
    ) -> Finished:
        """Run the command to its end."""
        with self.start(*words, settings=settings, program=program) as child:
            try:
                stdout, stderr = child.communicate(timeout=LONGEST_SECONDS)
            finally:
                child.kill()
        return Finished(child.returncode, stdout, stderr, processes_of_session(child.pid))

    def listing(self) -> list[str]:
        """Everything in the data folder, for comparison."""
        return sorted(str(path.relative_to(self.folder)) for path in self.data.rglob("*"))


def processes_of_session(session_id: int) -> tuple[int, ...]:
    """The processes that are still in a session."""
    found = []
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = status.read_text(encoding="utf-8").rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):  # it ended meanwhile
            continue
        if int(fields[3]) == session_id and fields[0] != "Z":
            found.append(int(status.parent.name))
    return tuple(found)


def settings_for(sandbox: RunningSandbox, resource_types: str = "") -> dict[str, str]:
    """What the environment says of a sandbox; no types are all types."""
    return {
        "ECW_RESOURCE_TYPES": resource_types,
        "ECW_PROVIDER": "smart-sandbox",
        "ECW_RATE_WINDOWS": WIDE_SETTING,
        "ECLINICALWORKS_FHIR_ENDPOINT": sandbox.base_url,
        "ECLINICALWORKS_CLIENT_ID": sandbox.config.client_id,
        "ECLINICALWORKS_CLIENT_SECRET": sandbox.config.client_secret,
    }
