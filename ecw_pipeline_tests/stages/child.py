"""A whole sync in a process of its own, to which something happens at a step that a test names.

A step is named from outside: Python tells a process of each function that begins or ends, also of
those written in C. Nothing in the pipeline knows of it.
"""

import os
import signal
import sys
import threading
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property, partial
from multiprocessing import get_context
from multiprocessing.connection import Connection
from types import FrameType
from typing import Any

from ecw_pipeline.clock import ManualClock
from ecw_pipeline.errors import EcwError
from ecw_pipeline.marts.catalog import Mart
from ecw_pipeline.settings import Settings
from ecw_pipeline.stages.exports import start_exports
from ecw_pipeline.stages.lake import Lake
from ecw_pipeline.stages.sync import bring_home
from ecw_pipeline.stages.tables import Table

PATIENCE_SECONDS = 60.0
TYPES = ("Patient", "Condition")
TABLES = ("condition", "condition_coding", "patient", "patient_name")
MARTS = ("patients_by_age_band",)
_WORDS = {
    "call": "before",
    "c_call": "before",
    "return": "after",
    "c_return": "after",
    "c_exception": "after",
}
# Forked from a server that has imported the pipeline already: starting one costs milliseconds.
_PROCESSES = get_context("forkserver")
_PROCESSES.set_forkserver_preload([__name__])

KILLED = -signal.SIGKILL

Happening = Callable[[], None]


class SmallLake(Lake):
    """A lake with a few of the tables and marts: all of them take seconds to make."""

    @cached_property
    def tables(self) -> dict[str, Table]:
        return {name: super(SmallLake, self).tables[name] for name in TABLES}

    @cached_property
    def marts(self) -> dict[str, Mart]:
        return {name: super(SmallLake, self).marts[name] for name in MARTS}


@dataclass(frozen=True)
class Ending:
    """How a child ended: by which signal, or saying what; and the seconds of work it did."""

    exit_code: int
    said: str = ""
    cpu_seconds: float = 0.0


def die() -> None:
    """End this process where it stands."""
    os.kill(os.getpid(), signal.SIGKILL)


def sync(
    day: str,
    steps: Sequence[str] = (),
    happening: Happening = die,
    *,
    dies_after_cpu_seconds: float = 0.0,
) -> Ending:
    """Sync a day in a child; see `in_child`."""
    return in_child(partial(_sync, day), steps, happening, dies_after_cpu_seconds)


def in_child(
    work: Callable[[], None],
    steps: Sequence[str] = (),
    happening: Happening = die,
    dies_after_cpu_seconds: float = 0.0,
) -> Ending:
    """Work in a child; let something happen when it has come by all the steps in turn.

    A step is ``before NAME`` or ``after NAME``, of a Python function with its module, or of one
    in C as ``posix.replace``. The seconds are of the processor, whatever else the machine does:
    the kernel then ends the process in the middle of anything.
    """
    listener, teller = _PROCESSES.Pipe(duplex=False)
    arguments = (teller, dict(os.environ), work, steps, happening, dies_after_cpu_seconds)
    process = _PROCESSES.Process(target=_run, args=arguments)
    process.start()
    teller.close()
    process.join(PATIENCE_SECONDS)
    assert process.exitcode is not None, "it hangs"
    with listener:
        said, cpu_seconds = listener.recv() if process.exitcode >= 0 else ("", 0.0)
    return Ending(process.exitcode, said, cpu_seconds)


def _run(
    teller: Connection,
    environment: dict[str, str],
    work: Callable[[], None],
    steps: Sequence[str],
    happening: Happening,
    dies_after_cpu_seconds: float,
) -> None:
    os.environ.clear()
    os.environ.update(environment)
    if steps:
        watcher = _watcher(steps, happening)
        sys.setprofile(watcher)
        threading.setprofile(watcher)
    signal.setitimer(signal.ITIMER_PROF, dies_after_cpu_seconds)
    said, exit_code = "", 0
    try:
        work()
    except EcwError as error:
        said, exit_code = str(error), error.exit_code
    teller.send((said, time.process_time()))
    sys.exit(exit_code)


def _sync(day: str) -> None:
    """The job of a partition day, which waits for nothing."""
    warnings.simplefilter("error")
    lake = SmallLake(Settings.from_environment(), ManualClock(datetime.now(UTC)))
    asked = [e for c in lake.connections() for e in start_exports(lake, c, [day])]
    bring_home(lake, [export.export_id for export in asked])


def _watcher(steps: Sequence[str], happening: Happening) -> Callable[[FrameType, str, Any], None]:
    """A profiler that waits for one step after the other."""
    waiting = iter(steps)
    step = next(waiting)

    def watch(frame: FrameType, event: str, called: Any) -> None:
        nonlocal step
        function = called.__name__ if event.startswith("c_") else frame.f_code.co_name
        if step.endswith(function) and step == _step(frame, event, called):
            step = next(waiting, "")
            if not step:
                sys.setprofile(None)
                happening()

    return watch


def _step(frame: FrameType, event: str, called: Any) -> str:
    """The words for what a profiler is told of."""
    if event.startswith("c_"):
        place = getattr(called, "__module__", None) or type(called.__self__).__name__
        return f"{_WORDS[event]} {place}.{called.__name__}"
    return f"{_WORDS[event]} {frame.f_globals.get('__name__')}.{frame.f_code.co_qualname}"
