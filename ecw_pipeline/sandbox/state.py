"""Everything one running sandbox is made of, in one place the routes can reach."""

from dataclasses import dataclass

from starlette.requests import Request

from ecw_pipeline.clock import Clock
from ecw_pipeline.sandbox.config import SandboxConfig
from ecw_pipeline.sandbox.exports import ExportDesk
from ecw_pipeline.sandbox.limits import RateLimiter
from ecw_pipeline.sandbox.sign_ins import SignInDesk
from ecw_pipeline.sandbox.simulated_time import SimulatedTime
from ecw_pipeline.sandbox.source import Source
from ecw_pipeline.sandbox.stats import Statistics
from ecw_pipeline.sandbox.tokens import TokenDesk


@dataclass(frozen=True)
class Sandbox:
    """The parts of one server."""

    config: SandboxConfig
    clock: Clock
    source: Source
    simulated: SimulatedTime
    tokens: TokenDesk
    sign_ins: SignInDesk
    exports: ExportDesk
    limiter: RateLimiter
    statistics: Statistics


def sandbox_of(request: Request) -> Sandbox:
    """The sandbox that serves this request."""
    sandbox = request.app.state.sandbox
    assert isinstance(sandbox, Sandbox)  # noqa: S101 - tells the type checker what we put there
    return sandbox


def server_url(request: Request) -> str:
    """The address the client used."""
    return str(request.base_url).rstrip("/")
