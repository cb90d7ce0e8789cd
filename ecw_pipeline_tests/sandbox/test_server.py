"""Starting: where it listens, and what it says when it cannot."""

import socket

import pytest

from ecw_pipeline.errors import ConfigurationError, MachineError
from ecw_pipeline.sandbox.server import running_sandbox, serve
from ecw_pipeline_tests.sandbox.harness import quick


def test_a_port_in_use_is_named() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]

        with pytest.raises(MachineError, match=f"port {port} .* is in use"):
            serve(quick(port=port))


@pytest.mark.parametrize("host", ["0.0.0.0", "example.org", "192.0.2.1"])
def test_other_machines_are_let_in_only_when_that_is_meant(host: str) -> None:
    with pytest.raises(ConfigurationError, match="other machines"):
        serve(quick(host=host))


def test_two_sandboxes_run_side_by_side() -> None:
    with running_sandbox(quick()) as one, running_sandbox(quick()) as other:
        assert one.base_url != other.base_url
        assert one.base_url.endswith("/fhir/r4")
