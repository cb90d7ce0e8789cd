"""What a sandbox is told when it starts."""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

BASE_PATH = "/fhir/r4"


@dataclass(frozen=True)
class Window:
    """At most ``limit`` requests in ``seconds``: in any such span, or per span of the calendar."""

    limit: int
    seconds: float
    kind: Literal["rolling", "calendar"]

    @property
    def name(self) -> str:
        """How statistics call it: ``7/1s rolling``."""
        return f"{self.limit}/{self.seconds:g}s {self.kind}"


DAY_SECONDS = 86_400.0

BRIEF_WINDOWS = (
    Window(7, 1.0, "rolling"),
    Window(14, 2.0, "rolling"),
    Window(100_000, DAY_SECONDS, "calendar"),
)


@dataclass(frozen=True)
class SandboxConfig:
    """Everything that makes one sandbox differ from another.

    Args:
        port: 0 takes any free port.
        data: a folder of NDJSON to serve instead of the made-up population.
        jwks: public keys accepted for ``private_key_jwt``; secrets are always accepted.
        app_client_id: a client without a secret, which people sign in to.
        tolerance_seconds: rolling windows are judged as if they were this much shorter.
        export_seconds: an export is not complete before this much time has passed.
        started_at: what the sandbox's own clock says when it starts.
    """

    host: str = "127.0.0.1"
    port: int = 8090
    patients: int = 100
    seed: int = 7
    data: Path | None = None
    client_id: str = "sandbox-client"
    client_secret: str = "sandbox-secret"  # noqa: S105 - it guards made-up patients
    app_client_id: str = "sandbox-app"
    jwks: dict[str, Any] | None = None
    windows: tuple[Window, ...] = BRIEF_WINDOWS
    tolerance_seconds: float = 0.05
    export_seconds: float = 1.0
    retry_after_seconds: int = 1
    token_seconds: int = 300
    code_seconds: int = 60
    refresh_seconds: int = 90 * 86_400
    lines_per_file: int = 50_000
    started_at: datetime = datetime(2026, 1, 1, tzinfo=UTC)
