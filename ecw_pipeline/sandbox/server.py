"""The sandbox as a web application, run in the foreground or in a thread."""

import contextlib
import errno
import ipaddress
import socket
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response

from ecw_pipeline.clock import Clock, SystemClock
from ecw_pipeline.errors import ConfigurationError, MachineError
from ecw_pipeline.files import machine_error
from ecw_pipeline.sandbox import control_routes, fhir_routes
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
from ecw_pipeline.sandbox.simulated_time import SimulatedTime
from ecw_pipeline.sandbox.source import Source
from ecw_pipeline.sandbox.state import Sandbox
from ecw_pipeline.sandbox.stats import Statistics
from ecw_pipeline.sandbox.tokens import TokenDesk

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

_BACKLOG = 256


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
        routes=[*fhir_routes.ROUTES, *control_routes.ROUTES],
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
    return Sandbox(
        config=config,
        clock=clock,
        source=source,
        simulated=simulated,
        tokens=TokenDesk(config, source.resource_types, clock),
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
    """An open socket: from here on a client's connection waits instead of being refused."""
    family = socket.AF_INET6 if ":" in config.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((config.host, config.port))
        except OSError as error:
            raise _bind_error(error, config) from error
        listener.listen(_BACKLOG)
        host = f"[{config.host}]" if ":" in config.host else config.host
        url = f"http://{host}:{listener.getsockname()[1]}"
        yield listener, RunningSandbox(url, config, faults)


def _bind_error(error: OSError, config: SandboxConfig) -> Exception:
    if error.errno == errno.EADDRINUSE:
        return MachineError(
            f"port {config.port} on {config.host} is in use",
            "stop what uses it, or choose another with --port (0 takes any free one)",
        )
    if isinstance(error, socket.gaierror) or error.errno == errno.EADDRNOTAVAIL:
        return ConfigurationError(f"this machine has no address {config.host}", "mend --host")
    return machine_error(error, Path(f"{config.host}:{config.port}"))


def _check_host(host: str, *, allow_remote: bool) -> None:
    try:
        is_loopback = host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        is_loopback = False
    if not (is_loopback or allow_remote):
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
