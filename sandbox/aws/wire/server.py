"""The HTTP server: which service, which operation, in and out; and the control API beside it."""

from __future__ import annotations

import asyncio
import json
import re
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

from aiohttp import web
from botocore.model import OperationModel, OperationNotFoundError

from sandbox.aws.control import Control, UnknownCommand
from sandbox.aws.model import AwsFault, AwsModel, Settings
from sandbox.aws.service import AwsService, Call, Reply

from .parse import Malformed, parse_query, parse_rest_xml
from .serialize import serialize, serialize_fault
from .shapes import find_route53, service_model

_CREDENTIAL = re.compile(r"Credential=([^/,\s]+)/\d{8}/([^/]+)/([^/]+)/aws4_request")
_VERSIONS = {"2016-11-15": "ec2", "2011-06-15": "sts"}
_PROTOCOLS = {"route53": "rest-xml", "ec2": "ec2", "sts": "query"}
CONTROL = "/_sandbox/"
GARBAGE = "<html><head><title>502 Bad Gateway</title></head><body>proxy</body></html>"


@dataclass(frozen=True, slots=True)
class Request:
    """One request, told apart: its service, operation and parameters."""

    service: str
    operation: OperationModel
    params: dict[str, Any]
    region: str
    access_key: str
    token: str | None


class MovableClock:
    """The wall clock, which tests may move forward."""

    def __init__(self) -> None:
        self._offset = 0.0

    def __call__(self) -> float:
        return time.time() + self._offset

    def advance(self, seconds: float) -> None:
        self._offset += seconds


class AwsServer:
    """One model on one port of the loopback interface. `port` 0 = any free one; `url` after `start`."""

    def __init__(self, settings: Settings | None = None, seed: int = 1) -> None:
        clock = MovableClock()
        self.model = AwsModel(clock, settings, seed)
        self.service = AwsService(self.model)
        self.control = Control(self.model, clock.advance)
        self.url = ""
        self._runner: web.AppRunner | None = None

    async def start(self, host: str = "127.0.0.1", port: int = 0) -> str:
        # The descriptions take a moment to load: not in the first request.
        for name in _PROTOCOLS:
            service_model(name)
        app = web.Application(client_max_size=16 * 1024 * 1024)
        app.router.add_route("*", CONTROL + "{command}", self._on_control)
        app.router.add_route("*", "/{tail:.*}", self._on_call)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.2)
        await self._runner.setup()
        site = web.TCPSite(self._runner, host, port)
        await site.start()
        bound = self._runner.addresses[0]
        self.url = f"http://{bound[0]}:{bound[1]}"
        return self.url

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    # -- AWS ----------------------------------------------------------------------------------------------

    async def _on_call(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        request_id = str(uuid.uuid4())
        service, protocol = "route53", "rest-xml"
        try:
            service = _service_of(request, body)
            protocol = _PROTOCOLS[service]
            read = _read(service, request, body)
        except AwsFault as fault:
            return _answer(*serialize_fault(protocol, fault, request_id))
        call = Call(service, read.operation.name, read.params, read.region, read.access_key, read.token)
        reply = self.service.exchange(call)
        if reply.delay > 0:
            # A little more: the caller must not find the zone busy by a rounding of the clocks.
            await asyncio.sleep(reply.delay + 0.005)
        return self._reply(request, reply, read.operation, protocol, request_id)

    def _reply(
        self, request: web.Request, reply: Reply, operation: OperationModel, protocol: str, request_id: str
    ) -> web.StreamResponse:
        if reply.cut:
            if request.transport is not None:
                request.transport.abort()
            return web.Response(status=500)
        if reply.garbage:
            return web.Response(status=502, text=GARBAGE, content_type="text/html")
        if reply.fault is not None:
            return _answer(*serialize_fault(protocol, reply.fault, request_id))
        return _answer(*serialize(operation, protocol, reply.response, request_id))

    # -- control ------------------------------------------------------------------------------------------

    async def _on_control(self, request: web.Request) -> web.Response:
        text = await request.text()
        try:
            arguments = json.loads(text) if text.strip() else dict(request.query)
            result = self.control.run(request.match_info["command"], arguments)
        except (UnknownCommand, KeyError, ValueError, AwsFault) as error:
            return web.json_response({"error": f"{type(error).__name__}: {error}"}, status=400)
        return web.json_response({"result": result}, dumps=_dumps)


def _dumps(value: Any) -> str:
    return json.dumps(value, default=str)


def _answer(status: int, headers: Mapping[str, str], body: str) -> web.Response:
    return web.Response(status=status, headers=headers, text=body, content_type="text/xml")


def _service_of(request: web.Request, body: bytes) -> str:
    match = _CREDENTIAL.search(request.headers.get("Authorization", ""))
    if match:
        name = match.group(3)
        if name not in _PROTOCOLS:
            raise AwsFault("InvalidAction", f"The sandbox has no service {name}")
        return name
    if request.path.startswith("/2013-04-01/"):
        return "route53"
    # Unsigned requests (AssumeRoleWithWebIdentity) tell by their API version.
    form = dict(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True))
    version = form.get("Version") or request.query.get("Version", "")
    return _VERSIONS.get(version, "sts")


def _read(service: str, request: web.Request, body: bytes) -> Request:
    match = _CREDENTIAL.search(request.headers.get("Authorization", ""))
    access_key, region = (match.group(1), match.group(2)) if match else ("", "us-east-1")
    token = request.headers.get("X-Amz-Security-Token")
    try:
        if service == "route53":
            found = find_route53(request.method, request.raw_path.partition("?")[0])
            if found is None:
                raise AwsFault("InvalidAction", f"{request.method} {request.path} is no operation", 404)
            operation, path = found
            params = parse_rest_xml(operation, path, request.query, request.headers, body)
        else:
            form = dict(request.query)
            form.update(parse_qsl(body.decode("utf-8"), keep_blank_values=True))
            operation = service_model(service).operation_model(form.get("Action", ""))
            params = parse_query(operation, form, _PROTOCOLS[service])
    except OperationNotFoundError:
        raise AwsFault("InvalidAction", "The action is not valid for this web service.") from None
    except (Malformed, UnicodeDecodeError) as error:
        code = "InvalidInput" if service == "route53" else "InvalidParameterValue"
        raise AwsFault(code, f"The request is not well formed: {error}") from error
    return Request(service, operation, params, region, access_key, token)
