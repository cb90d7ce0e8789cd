"""A sandbox as the one configured connection, remembered so that it can go on where it was."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from ecw_pipeline.fhir.instants import format_instant, parse_instant
from ecw_pipeline.fhir.resource_types import BRIEF_TYPES
from ecw_pipeline.files import read_json, write_json
from ecw_pipeline.layout import DataFolder

if TYPE_CHECKING:
    from ecw_pipeline.sandbox.server import RunningSandbox

CONNECTION_ID = "sandbox-demo"
DAYS_THAT_PASS = 30
# The brief's and what they refer to; the sandbox has as many again, which take a quarter longer.
_RESOURCE_TYPES = (*BRIEF_TYPES, "Goal", "Group", "Location", "Organization", "Practitioner")
_MEMORY = "sandbox.json"
_SECRET = "ECW_SANDBOX_SECRET"  # noqa: S105 - a variable's name


@contextmanager
def open_sandbox(port: int, population: "Population") -> "Iterator[RunningSandbox]":
    """Serve a made-up population, and let the environment of this process name it."""
    from ecw_pipeline.sandbox.server import SandboxConfig, running_sandbox

    config = SandboxConfig(
        port=port,
        patients=population.patients,
        seed=population.seed,
        started_at=population.started_at,
    )
    with running_sandbox(config) as running, TemporaryDirectory() as folder:
        if population.days_passed:
            let_days_pass(running, population.days_passed)
        _name_it_alone(Path(folder) / "connections.toml", running)
        yield running


def _name_it_alone(path: Path, running: "RunningSandbox") -> None:
    """Make a sandbox the only connection, whatever the environment and `.env` say of another."""
    keys = {
        "provider": "smart-sandbox",
        "fhir_endpoint": running.base_url,
        "client_id": running.config.client_id,
        "client_secret_env": _SECRET,
        "resource_types": _RESOURCE_TYPES,
    }
    lines = [f"{key} = {json.dumps(value)}" for key, value in keys.items()]
    path.write_text("\n".join([f"[connections.{CONNECTION_ID}]", *lines]), encoding="utf-8")
    os.environ |= {"ECW_CONNECTIONS": str(path), _SECRET: running.config.client_secret}


def let_days_pass(running: "RunningSandbox", days: int) -> dict[str, dict[str, int]]:
    """Make time pass at the sandbox; returns counts by kind of change and resource type."""
    import httpx

    reply = httpx.post(f"{running.server_url}/sandbox/advance", json={"days": days}, timeout=300)
    document: dict[str, Any] = reply.raise_for_status().json()
    return {kind: document[kind] for kind in ("new", "changed", "deleted")}


@dataclass(frozen=True)
class Population:
    """Which made-up patients a sandbox serves, since when, and how many days have passed."""

    patients: int
    seed: int
    started_at: datetime
    days_passed: int = 0


def remember(folder: DataFolder, population: Population) -> None:
    """Note which population the data folder was filled from."""
    started_at = format_instant(population.started_at)
    write_json(folder.state / _MEMORY, asdict(population) | {"started_at": started_at})


def recall(folder: DataFolder) -> Population:
    """The population the data folder was filled from; a new one where there is none."""
    path = folder.state / _MEMORY
    if not path.exists():
        return new_population(patients=100, seed=7)
    known = read_json(path)
    return Population(**known | {"started_at": parse_instant(known["started_at"])})


def new_population(patients: int, seed: int) -> Population:
    """A population that starts in the past, so that the days that pass end today."""
    start = datetime.now(UTC).replace(microsecond=0) - timedelta(days=DAYS_THAT_PASS)
    return Population(patients, seed, start)
