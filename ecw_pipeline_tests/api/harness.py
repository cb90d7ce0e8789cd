"""A running API over a practice, and someone to call it."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from ecw_pipeline.api.jobs import BASE, JOBS_URL
from ecw_pipeline.api.server import ApiConfig, running_api
from ecw_pipeline.clock import SystemClock
from ecw_pipeline.settings import Settings
from ecw_pipeline.stages.lake import Lake
from ecw_pipeline_tests.stages.practice import Practice, practice, small_data

CONNECTION = "practice"


@dataclass(frozen=True)
class Caller:
    """Calls one API."""

    practice: Practice
    http: httpx.Client

    def post(self, path: str, body: Any) -> httpx.Response:
        return self.http.post(path, json=body)

    def export(self, **body: Any) -> httpx.Response:
        return self.post(JOBS_URL, {"connectionId": CONNECTION, **body})

    def sync(self, **body: Any) -> httpx.Response:
        return self.post(f"{BASE}/enhanced-sync", {"connectionId": CONNECTION, **body})

    def get(self, path: str, **query: str) -> httpx.Response:
        return self.http.get(path, params=query)

    def data(self, reply: httpx.Response, status: int = 200) -> Any:
        """What a reply that went well holds."""
        assert reply.status_code == status, reply.text
        document = reply.json()
        assert document["success"] is True
        return document["data"]

    def problem(self, reply: httpx.Response, status: int) -> dict[str, str]:
        """What a refusal says; every one says what to do next."""
        assert reply.status_code == status, reply.text
        document = reply.json()
        assert document["success"] is False
        problem: dict[str, str] = document["error"]
        assert set(problem) == {"code", "message", "next"}
        assert all(problem.values())
        return problem

    def until(self, job: dict[str, Any], status: str) -> dict[str, Any]:
        """Ask after an export until it is so."""
        end = time.monotonic() + 60
        while time.monotonic() < end:
            found: dict[str, Any] = self.data(self.get(job["statusUrl"]))
            if found["status"] == status:
                return found
            assert found["status"] == "IN_PROGRESS", found
            time.sleep(0.05)
        raise AssertionError(f"not {status} in time: {found}")


@contextmanager
def calling(
    folder: Path, settings: dict[str, str] | None = None, **config: Any
) -> Iterator[Caller]:
    """A practice of its own with an API; names of `ApiConfig` go there, others to the sandbox."""
    own = {name: config.pop(name) for name in ("wait_seconds", "lands") if name in config}
    data = config.pop("data", None) or small_data(folder / "lines")
    with practice(folder, data=data, **config) as one:
        for name, value in (settings or {}).items():
            one.set(name, value)
        lake = Lake(Settings.from_environment(), SystemClock())
        with (
            running_api(lake, ApiConfig(port=0, **own)) as url,
            httpx.Client(base_url=url, timeout=60) as http,
        ):
            yield Caller(one, http)
