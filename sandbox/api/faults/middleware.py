"""Where faults happen: around the application, for the calls that they were asked for."""

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from sandbox.api.auth import key_of
from sandbox.api.context import Context
from sandbox.api.errors import ApiError, BadRequest, error_response
from sandbox.api.faults.calls import Call, look_at
from sandbox.api.faults.kinds import Fault, parse_header
from sandbox.api.faults.traffic import Traffic

HEADER = "x-sandbox-fault"


class FaultsHappen:
    """Lets a call meet the fault that was asked for; without one it does not even look at it."""

    def __init__(self, app: ASGIApp, context: Context) -> None:
        self.app = app
        self.context = context

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope) if scope["type"] == "http" else Headers()
        wanted = HEADER in headers or self.context.faults
        # Without a good key the route answers, as it does on any other day.
        key = key_of(self.context, headers.get("authorization", "")) if wanted else None
        if key is None:
            await self.app(scope, receive, send)
            return
        try:
            call = await look_at(scope, receive, self.context.settings.max_body_bytes)
            fault = self._choose(headers, key.project, call)
            error = fault.kind.answer(call, fault.value) if fault else None
        except ApiError as refused:
            call, fault, error = Call(frozenset(), "", receive), None, refused
        receive = call.receive
        if error is not None:
            await error_response(error)(scope, receive, send)
            return
        if fault is not None and fault.kind.traffic:
            traffic = Traffic(receive, send, **{fault.kind.traffic: fault.value})
            receive, send = traffic.receive, traffic.send
        elif fault is not None:
            # Read by the route that creates jobs, and kept with the job.
            job_fault = {"name": fault.name, **fault.details}
            scope.setdefault("state", {})["job_fault"] = job_fault
        await self.app(scope, receive, send)

    def _choose(self, headers: Headers, project: str, call: Call) -> Fault | None:
        if HEADER not in headers:
            return self.context.faults.take(project, call.aims)
        fault = parse_header(headers[HEADER])
        if not call.aims.intersection(fault.kind.aims):
            raise BadRequest(
                f"The fault '{fault.name}' cannot happen here: it needs {fault.kind.happens_to}."
            )
        return fault
