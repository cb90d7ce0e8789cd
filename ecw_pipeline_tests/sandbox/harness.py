"""A client of a few lines, independent of the project's own."""

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import httpx

from ecw_pipeline.clock import Clock
from ecw_pipeline.sandbox.faults.script import Faults
from ecw_pipeline.sandbox.server import SandboxConfig, Window, running_sandbox

WIDE = (Window(1_000_000, 86_400.0, "calendar"),)
ASYNC = {"Accept": "application/fhir+json", "Prefer": "respond-async"}
SCOPE = "system/*.read"


def quick(**changes: Any) -> SandboxConfig:
    """A small sandbox in a hurry, with no limits that matter."""
    settings: dict[str, Any] = {
        "port": 0,
        "patients": 12,
        "windows": WIDE,
        "export_seconds": 0.0,
        "retry_after_seconds": 1,
    }
    return SandboxConfig(**{**settings, **changes})


class Visitor:
    """Asks one sandbox for things, with a token once it has one."""

    def __init__(self, server_url: str, http: httpx.Client) -> None:
        self.server_url, self.http = server_url, http
        self.base_url = server_url + "/fhir/r4"
        self.headers: dict[str, str] = {}

    def token(self, scope: str = SCOPE, **form: str) -> httpx.Response:
        """Ask for a token with the client's secret."""
        body = {"grant_type": "client_credentials", "scope": scope, **form}
        secret = ("sandbox-client", "sandbox-secret")
        return self.http.post(f"{self.server_url}/oauth2/token", data=body, auth=secret)

    def sign_in(self, scope: str = SCOPE) -> "Visitor":
        """Keep a token for what follows."""
        access_token = self.token(scope).json()["access_token"]
        self.headers = {"Authorization": f"Bearer {access_token}"}
        return self

    def get(self, path: str, **headers: str) -> httpx.Response:
        """A FHIR request; a whole URL is taken as it is."""
        url = path if path.startswith("http") else self.base_url + path
        return self.http.get(url, headers={**self.headers, **headers})

    def kick_off(self, level: str = "", **parameters: str) -> httpx.Response:
        """Start an export."""
        headers = {**self.headers, **ASYNC}
        url = f"{self.base_url}{level}/$export"
        return self.http.get(url, params=parameters, headers=headers)

    def finish(self, kicked_off: httpx.Response) -> dict[str, Any]:
        """Poll until the manifest is there."""
        assert kicked_off.status_code == 202, kicked_off.text
        until = time.monotonic() + 20
        while time.monotonic() < until:
            reply = self.get(kicked_off.headers["content-location"])
            if reply.status_code == 200:
                manifest: dict[str, Any] = reply.json()
                return manifest
            assert reply.status_code == 202, reply.text
        raise AssertionError("the export did not finish")

    def export(self, level: str = "", **parameters: str) -> dict[str, Any]:
        """Start an export and wait for its manifest."""
        return self.finish(self.kick_off(level, **parameters))

    def lines(self, manifest: dict[str, Any], part: str = "output") -> list[Any]:
        """Every resource of every file, in order."""
        files = [self.get(item["url"]) for item in manifest[part]]
        return [json.loads(line) for file in files for line in file.text.splitlines()]

    def truth(self) -> dict[str, str]:
        """``Type/id`` → version of all that is live."""
        text = self.http.get(f"{self.server_url}/sandbox/truth").text
        rows = [json.loads(line) for line in text.splitlines()]
        return {f"{row['resourceType']}/{row['id']}": row["versionId"] for row in rows}

    def advance(self, days: int) -> dict[str, Any]:
        """Let days pass."""
        counts: dict[str, Any] = self.http.post(
            f"{self.server_url}/sandbox/advance", json={"days": days}
        ).json()
        return counts

    def stats(self) -> dict[str, Any]:
        """What the server saw."""
        seen: dict[str, Any] = self.http.get(f"{self.server_url}/sandbox/stats").json()
        return seen


@contextmanager
def visiting(
    config: SandboxConfig, faults: Mapping[str, Any] | None = None, clock: Clock | None = None
) -> Iterator[Visitor]:
    """A running sandbox and someone to ask it."""
    own = Faults.from_mapping(faults or {})
    with running_sandbox(config, own, clock) as sandbox, httpx.Client(timeout=20) as http:
        yield Visitor(sandbox.server_url, http)


def versions(resources: list[Any]) -> dict[str, str]:
    """``Type/id`` → version."""
    return {f"{r['resourceType']}/{r['id']}": r["meta"]["versionId"] for r in resources}


def diagnostics(reply: httpx.Response) -> str:
    """The words of an OperationOutcome."""
    outcome = reply.json()
    assert outcome["resourceType"] == "OperationOutcome"
    return str(outcome["issue"][0]["diagnostics"])
