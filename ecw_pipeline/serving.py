"""Listening for HTTP: an open socket with a URL, and who may reach it."""

import errno
import ipaddress
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ecw_pipeline.errors import ConfigurationError, EcwError, MachineError
from ecw_pipeline.files import machine_error

_BACKLOG = 256


def is_loopback(host: str) -> bool:
    """Whether an address is this machine's alone."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


@contextmanager
def listening(host: str, port: int) -> Iterator[tuple[socket.socket, str]]:
    """An open socket and its URL: from here on a client waits instead of being refused.

    A port of 0 takes any free one.

    Raises:
        MachineError: the port is in use.
        ConfigurationError: this machine has no such address.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, port))
        except OSError as error:
            raise _bind_error(error, host, port) from error
        listener.listen(_BACKLOG)
        shown = f"[{host}]" if ":" in host else host
        yield listener, f"http://{shown}:{listener.getsockname()[1]}"


def _bind_error(error: OSError, host: str, port: int) -> EcwError:
    if error.errno == errno.EADDRINUSE:
        return MachineError(
            f"port {port} on {host} is in use",
            "stop what uses it, or choose another with --port (0 takes any free one)",
        )
    if isinstance(error, socket.gaierror) or error.errno == errno.EADDRNOTAVAIL:
        return ConfigurationError(f"this machine has no address {host}", "mend --host")
    return machine_error(error, Path(f"{host}:{port}"))
