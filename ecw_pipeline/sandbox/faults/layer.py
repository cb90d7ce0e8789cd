"""The middleware between gate and application where faults strike."""

from functools import partial

from starlette.types import ASGIApp, Receive, Scope, Send

from ecw_pipeline.sandbox.faults.exchange import Exchange, Proceed
from ecw_pipeline.sandbox.faults.script import Faults
from ecw_pipeline.sandbox.gate import is_counted
from ecw_pipeline.sandbox.outcomes import RefusalError, outcome_response
from ecw_pipeline.sandbox.state import Sandbox


class FaultLayer:
    """ASGI middleware: every exchange passes the faults one by one, the last nearest the server."""

    def __init__(self, app: ASGIApp, sandbox: Sandbox, faults: Faults) -> None:
        self._app, self._sandbox, self._faults = app, sandbox, faults

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Where there are no faults a request goes through untouched, and so does its reply."""
        rules = self._faults.rules
        if not (rules and is_counted(scope)):
            await self._app(scope, receive, send)
            return
        exchange = await Exchange.arrived(self._sandbox, self._faults.notes, scope, receive)
        proceed: Proceed = partial(exchange.ask, self._app)
        for rule in reversed(rules):
            proceed = partial(rule.run, exchange, proceed)
        try:
            reply = await proceed()
        except RefusalError as refusal:
            reply = outcome_response(refusal)
        await reply(scope, receive, send)
