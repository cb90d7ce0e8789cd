"""How well one request budget is shared: processes downloading at once from an enforcing server.

Each process fetches one small document as fast as the budget allows, for a fixed time.
The server (the sandbox) enforces the brief's windows with 50 ms of tolerance and counts.

    python -m benchmarks.budget --processes 4 --seconds 30
"""

import argparse
import multiprocessing
import tempfile
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import httpx
from pydantic import SecretStr

from ecw_pipeline.clock import SystemClock
from ecw_pipeline.fhir_client.providers import BRIEF_WINDOWS, connect
from ecw_pipeline.fhir_client.session import open_session
from ecw_pipeline.layout import DataFolder
from ecw_pipeline.sandbox.server import SandboxConfig, running_sandbox
from ecw_pipeline.settings import ConnectionSettings

ALLOWED_PER_SECOND = 7


def fetch(base_url: str, folder: Path, until: float, counts: "multiprocessing.Queue[int]") -> None:
    """Fetch one small document again and again until the time is over."""
    settings = ConnectionSettings(
        connection_id="bench",
        provider="smart-sandbox",
        fhir_endpoint=base_url,
        client_id="sandbox-client",
        client_secret=SecretStr("sandbox-secret"),
    )
    connection = replace(connect(settings), windows=BRIEF_WINDOWS)
    done = 0
    with open_session(connection, DataFolder(folder), SystemClock()) as session:
        while time.time() < until:
            session.http.get(f"{base_url}/metadata").raise_for_status()
            done += 1
    counts.put(done)


def measure(processes: int, seconds: float, kill_after: float) -> None:
    """Run the processes, kill one of them on the way if asked, and print what the server saw."""
    with tempfile.TemporaryDirectory() as scratch, running_sandbox(SandboxConfig(port=0)) as server:
        until = time.time() + seconds
        counts: multiprocessing.Queue[int] = multiprocessing.Queue()
        workers = [
            multiprocessing.Process(
                target=fetch, args=(server.base_url, Path(scratch), until, counts)
            )
            for _ in range(processes)
        ]
        for worker in workers:
            worker.start()
        if kill_after:
            time.sleep(kill_after)
            workers[0].kill()
        done = sorted(counts.get() for _ in workers[int(kill_after > 0) :])
        for worker in workers:
            worker.join()
        stats = httpx.get(f"{server.server_url}/sandbox/stats").json()
    report(done, seconds, stats)


def report(done: list[int], seconds: float, stats: dict[str, object]) -> None:
    """Print shares, use of the allowance, and refusals."""
    total = sum(done)
    shares = ", ".join(f"{100 * count / total:.0f} %" for count in done)
    print(f"{datetime.now(UTC):%Y-%m-%d}  {len(done)} processes, {seconds:g} s")
    served = int(str(stats["requests"]))
    print(f"  requests           {served} ({served / seconds:.2f}/s)")
    print(f"  share of 7/s used  {100 * served / seconds / ALLOWED_PER_SECOND:.1f} %")
    print(f"  share per process  {shares}")
    print(f"  429 answered       {stats['refused_429']}")
    print(f"  maxima at server   {stats['maxima']}")


def main() -> None:
    """Read the command line and measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--processes", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--kill-after", type=float, default=0, help="seconds; kill -9 of one")
    options = parser.parse_args()
    measure(options.processes, options.seconds, options.kill_after)


if __name__ == "__main__":
    multiprocessing.set_start_method("spawn")
    main()
