"""Serving the API: where it listens, who may call it, and landing what it asked for."""

import contextlib
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version

import uvicorn

from ecw_pipeline.api.app import Application, RequireKey, create_app
from ecw_pipeline.errors import ConfigurationError, EcwError
from ecw_pipeline.serving import is_loopback, listening
from ecw_pipeline.stages.lake import Lake
from ecw_pipeline.stages.sync import bring_home

LAND_EVERY_SECONDS = 10.0
_LOCAL_NAMES = ["localhost", "127.0.0.1", "[::1]"]


@dataclass(frozen=True)
class ApiConfig:
    """Where the API listens.

    Args:
        wait_seconds: how long a sync may keep its caller waiting.
        lands: it also lands and loads exports, where no Dagster daemon does.
    """

    host: str = "127.0.0.1"
    port: int = 8070
    wait_seconds: float = 25.0
    lands: bool = False


def serve(lake: Lake, config: ApiConfig, on_ready: Callable[[str], None]) -> None:
    """Serve until interrupted; ``on_ready`` is called once with the URL.

    Raises:
        ConfigurationError: others could reach it, and no ECW_API_KEY is set.
        MachineError: the port is in use.
    """
    application = _application(lake, config)
    with listening(config.host, config.port) as (listener, url), _landing(lake, config):
        on_ready(url)
        # uvicorn raises the signal again after it has shut down in good order.
        with contextlib.suppress(KeyboardInterrupt):
            uvicorn.Server(_uvicorn_config(application)).run(sockets=[listener])


@contextmanager
def running_api(lake: Lake, config: ApiConfig) -> Iterator[str]:
    """Serve in a thread for as long as the block lasts; gives the URL."""
    application = _application(lake, config)
    with listening(config.host, config.port) as (listener, url), _landing(lake, config):
        server = uvicorn.Server(_uvicorn_config(application))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        try:
            yield url
        finally:
            server.should_exit = True
            thread.join()


def _application(lake: Lake, config: ApiConfig) -> Application:
    key = lake.settings.api_key
    if not is_loopback(config.host) and key is None:
        raise ConfigurationError(
            f"the API would listen on {config.host}, which other machines can reach, without a key",
            "set ECW_API_KEY to a long random text, or listen on 127.0.0.1",
        )
    hosts = _LOCAL_NAMES if is_loopback(config.host) else ["*"]
    app = create_app(
        lake, version=version("ecw_pipeline"), wait_seconds=config.wait_seconds, hosts=hosts
    )
    return RequireKey(app, key.get_secret_value()) if key else app


def _uvicorn_config(application: Application) -> uvicorn.Config:
    return uvicorn.Config(
        application,
        log_config=None,
        log_level="warning",
        access_log=False,
        lifespan="off",
        ws="none",
        timeout_graceful_shutdown=2,
        server_header=False,
    )


@contextmanager
def _landing(lake: Lake, config: ApiConfig) -> Iterator[None]:
    """Bring home what was asked for, as long as the block lasts, where that is wanted."""
    if not config.lands:
        yield
        return
    is_over = threading.Event()
    thread = threading.Thread(target=_land, args=(lake, is_over), daemon=True)
    thread.start()
    try:
        yield
    finally:
        is_over.set()


def _land(lake: Lake, is_over: threading.Event) -> None:
    """Land each export that is under way; what fails is told by its job, and tried again."""
    while not is_over.is_set():
        under_way = [
            export.export_id
            for export in lake.ledger.exports()
            if export.is_open or export.state in ("completed", "landed")
        ]
        for export_id in under_way:
            with contextlib.suppress(EcwError):
                bring_home(lake, [export_id])
        is_over.wait(LAND_EVERY_SECONDS)
