"""What a fault is, and the four ways to write one as a plain function.

The function's name names the fault, its docstring describes it, its keyword-only arguments are
what a script may set; of what there is to see it gets what its other arguments name. A fault
that hands out URLs of its own (`exchange.marked`) says with ``serve`` who answers them.
"""

import inspect
import json
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from starlette.responses import Response

from ecw_pipeline.sandbox.faults.exchange import Exchange, Proceed, rewritten, set_body

REQUESTS = ("token", "kickoff", "status", "delete", "file", "attachment", "fhir")

Json = dict[str, Any]
Function = Callable[..., Any]
Serve = Callable[[Exchange, Proceed], Awaitable[Response]]


@dataclass(frozen=True)
class Firing:
    """How a script wants a fault: with which parameters, on which type, and whether now.

    Args:
        resource_type: the only type whose files are concerned; empty means all.
        strikes: counts a request or reply that the fault could spoil; says whether it does.
    """

    parameters: Mapping[str, Any]
    resource_type: str
    strikes: Callable[[Exchange], bool]


Way = Callable[["Fault", Firing, Exchange, Proceed], Awaitable[Response]]


@dataclass(frozen=True)
class Fault:
    """A habit of some server.

    Args:
        kinds: the requests it can concern; a manifest is the reply to the last status request.
        times: how often it strikes unless the script says otherwise; 0 means always.
        way: when the function is called, and what is made of its answer.
        serve: answers the URLs that the fault hands out.
    """

    function: Function
    kinds: tuple[str, ...]
    times: int
    way: Way
    serve: Serve | None

    @property
    def name(self) -> str:
        return self.function.__name__

    @property
    def description(self) -> str:
        return " ".join((inspect.getdoc(self.function) or "").split())

    @cached_property
    def parameters(self) -> Mapping[str, Any]:
        """What a script may set, with its defaults."""
        return {a.name: a.default for a in self._arguments if a.kind is a.KEYWORD_ONLY}

    @property
    def settings(self) -> str:
        """The parameters as a script writes them."""
        return ", ".join(f"{name}={json.dumps(v)}" for name, v in self.parameters.items())

    def __call__(self, firing: Firing, **seen: Any) -> Any:
        """Call the function with what it wants to see."""
        wanted = {a.name: seen[a.name] for a in self._arguments if a.kind is not a.KEYWORD_ONLY}
        return self.function(**wanted, **firing.parameters)

    @cached_property
    def _arguments(self) -> tuple[inspect.Parameter, ...]:
        return tuple(inspect.signature(self.function).parameters.values())


Make = Callable[[Function], Fault]


def on_request(*kinds: str, times: int = 0, serve: Serve | None = None) -> Make:
    """``f(exchange)`` answers in the server's stead, or changes the request and returns None."""

    async def way(fault: Fault, firing: Firing, exchange: Exchange, proceed: Proceed) -> Response:
        reply: Response | None = None
        if firing.strikes(exchange):
            reply = fault(firing, exchange=exchange)
        return reply or await proceed()

    return lambda function: Fault(function, kinds, times, way, serve)


def on_reply(
    *kinds: str,
    statuses: Iterable[int] = range(600),
    times: int = 0,
    serve: Serve | None = None,
) -> Make:
    """``f(exchange, reply)`` changes a reply of one of the statuses, or returns another."""

    async def way(fault: Fault, firing: Firing, exchange: Exchange, proceed: Proceed) -> Response:
        reply = await proceed()
        if reply.status_code in statuses and firing.strikes(exchange):
            return fault(firing, exchange=exchange, reply=reply) or reply
        return reply

    return lambda function: Fault(function, kinds, times, way, serve)


def on_manifest(*, serve: Serve | None = None) -> Make:
    """``f(exchange, manifest, files)`` changes a manifest; ``files`` are the items concerned."""

    async def way(fault: Fault, firing: Firing, exchange: Exchange, proceed: Proceed) -> Response:
        reply = await proceed()
        manifest = manifest_of(reply)
        if manifest is not None and firing.strikes(exchange):
            wanted = firing.resource_type
            files = [i for i in manifest["output"] if wanted in ("", i.get("type"))]
            fault(firing, exchange=exchange, manifest=manifest, files=files)
            set_body(reply, json.dumps(manifest).encode())
        return reply

    return lambda function: Fault(function, ("manifest",), 0, way, serve)


def on_content() -> Make:
    """``f(content)`` gives a file other lines, in whatever encoding and range it is asked for."""

    async def way(fault: Fault, firing: Firing, exchange: Exchange, proceed: Proceed) -> Response:
        if not firing.strikes(exchange):
            return await proceed()
        return await rewritten(exchange, proceed, lambda old: bytes(fault(firing, content=old)))

    return lambda function: Fault(function, ("file",), 0, way, None)


def manifest_of(reply: Response) -> Json | None:
    """The manifest in a reply to a status request, if it is one."""
    body = bytes(reply.body)
    is_object = reply.status_code == 200 and body.startswith(b"{")
    document: Json = json.loads(body) if is_object else {}
    return document if "output" in document else None
