"""The sandbox as a web application, run in the foreground or in a thread."""

import contextlib
import socket
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass

import uvicorn
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response

from ecw_pipeline.clock import Clock, SystemClock
from ecw_pipeline.errors import ConfigurationError
from ecw_pipeline.sandbox import control_routes, fhir_routes, search_routes, sign_in_routes
from ecw_pipeline.sandbox.config import BASE_PATH, BRIEF_WINDOWS, SandboxConfig, Window
from ecw_pipeline.sandbox.data_folder import DataFolder
from ecw_pipeline.sandbox.exports import ExportDesk
from ecw_pipeline.sandbox.faults.deliveries import ReachableProtocol
from ecw_pipeline.sandbox.faults.layer import FaultLayer
from ecw_pipeline.sandbox.faults.script import Faults
from ecw_pipeline.sandbox.gate import Arrivals, Gate
from ecw_pipeline.sandbox.limits import RateLimiter
from ecw_pipeline.sandbox.outcomes import (
    RefusalError,
    TokenRefusalError,
    outcome_response,
    token_error_response,
)
from ecw_pipeline.sandbox.population.world import Population
from ecw_pipeline.sandbox.sign_ins import SignInDesk
from ecw_pipeline.sandbox.simulated_time import SimulatedTime
from ecw_pipeline.sandbox.source import Source
from ecw_pipeline.sandbox.state import Sandbox
from ecw_pipeline.sandbox.stats import Statistics
from ecw_pipeline.sandbox.tokens import TokenDesk
from ecw_pipeline.serving import is_loopback, listening

__all__ = [
    "BASE_PATH",
    "BRIEF_WINDOWS",
    "RunningSandbox",
    "SandboxConfig",
    "Window",
    "create_app",
    "running_sandbox",
    "serve",
]


@dataclass(frozen=True)
class RunningSandbox:
    """A sandbox that answers."""

    server_url: str
    config: SandboxConfig
    faults: Faults

    @property
    def base_url(self) -> str:
        """The FHIR base: what a client is configured with."""
        return self.server_url + BASE_PATH


def create_app(
    config: SandboxConfig, faults: Faults | None = None, clock: Clock | None = None
) -> Starlette:
    """Build the application.

    Raises:
        ConfigurationError: the data folder is missing or holds nothing to serve.
    """
    sandbox, faults = _assemble(config, clock or SystemClock()), faults or Faults()

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        yield
        sandbox.exports.close()

    app = Starlette(
        routes=[
            *fhir_routes.ROUTES,
            *search_routes.ROUTES,
            *sign_in_routes.ROUTES,
            *control_routes.ROUTES,
        ],
        middleware=[
            Middleware(Arrivals, sandbox=sandbox),
            Middleware(FaultLayer, sandbox=sandbox, faults=faults),
            Middleware(Gate, sandbox=sandbox),
        ],
        exception_handlers={
            RefusalError: _refused,
            TokenRefusalError: _token_refused,
            HTTPException: _not_served,
        },
        lifespan=lifespan,
    )
    app.state.sandbox, app.state.faults = sandbox, faults
    return app


def serve(
    config: SandboxConfig,
    faults: Faults | None = None,
    *,
    allow_remote: bool = False,
    on_ready: Callable[[RunningSandbox], None] = lambda _: None,
) -> None:
    """Serve until interrupted; ``on_ready`` is called once, when the port is open.

    Raises:
        ConfigurationError: the host is not loopback and ``allow_remote`` was not said.
        MachineError: the port is in use.
    """
    _check_host(config.host, allow_remote=allow_remote)
    faults = faults or Faults()
    app = create_app(config, faults)
    with _listening(config, faults) as (listener, running):
        on_ready(running)
        # uvicorn raises the signal again after it has shut down in good order.
        with contextlib.suppress(KeyboardInterrupt):
            uvicorn.Server(_uvicorn_config(app)).run(sockets=[listener])


@contextmanager
def running_sandbox(
    config: SandboxConfig, faults: Faults | None = None, clock: Clock | None = None
) -> Iterator[RunningSandbox]:
    """Serve in a thread for as long as the block lasts. A port of 0 takes any free one."""
    faults = faults or Faults()
    app = create_app(config, faults, clock)
    with _listening(config, faults) as (listener, running):
        server = uvicorn.Server(_uvicorn_config(app))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        try:
            yield running
        finally:
            server.should_exit = True
            thread.join()


def _assemble(config: SandboxConfig, clock: Clock) -> Sandbox:
    source: Source = Population(config) if config.data is None else DataFolder(config)
    simulated = SimulatedTime(config.started_at)
    tokens = TokenDesk(config, source.resource_types, clock)
    return Sandbox(
        config=config,
        clock=clock,
        source=source,
        simulated=simulated,
        tokens=tokens,
        sign_ins=SignInDesk(config, tokens, source.resource_types, clock),
        exports=ExportDesk(config, source, simulated),
        limiter=RateLimiter(config.windows, config.tolerance_seconds),
        statistics=Statistics(),
    )


def _uvicorn_config(app: Starlette) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http=ReachableProtocol,
        log_config=None,
        log_level="warning",
        access_log=False,
        lifespan="on",
        ws="none",
        timeout_graceful_shutdown=2,
        server_header=False,
        date_header=False,
    )


@contextmanager
def _listening(
    config: SandboxConfig, faults: Faults
) -> Iterator[tuple[socket.socket, RunningSandbox]]:
    with listening(config.host, config.port) as (listener, url):
        yield listener, RunningSandbox(url, config, faults)


def _check_host(host: str, *, allow_remote: bool) -> None:
    if not (is_loopback(host) or allow_remote):
        raise ConfigurationError(
            f"the sandbox would listen on {host}, which other machines can reach",
            "use 127.0.0.1, or say --allow-remote when that is meant",
        )


def _refused(_: Request, error: Exception) -> Response:
    assert isinstance(error, RefusalError)  # noqa: S101 - tells the type checker what comes here
    return outcome_response(error)


def _token_refused(_: Request, error: Exception) -> Response:
    assert isinstance(error, TokenRefusalError)  # noqa: S101 - as above
    return token_error_response(error)


def _not_served(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - as above
    code = "not-found" if error.status_code == 404 else "not-supported"
    refusal = RefusalError(error.status_code, code, "not served here", dict(error.headers or {}))
    return outcome_response(refusal)
