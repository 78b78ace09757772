"""Responses and faults to XML, as botocore's parsers of the three protocols expect them."""

from __future__ import annotations

import base64
import datetime
import re
from collections.abc import Mapping
from typing import Any
from xml.sax.saxutils import escape

from botocore.model import ListShape, MapShape, OperationModel, Shape, StructureShape

from sandbox.aws.model import AwsFault

_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_HEAD = '<?xml version="1.0" encoding="UTF-8"?>\n'


def xml_text(text: str) -> str:
    """Escaped; characters that XML 1.0 cannot carry at all become U+FFFD."""
    return escape(_NOT_XML.sub("\ufffd", text), {'"': "&quot;", "\r": "&#13;"})


def serialize(
    operation: OperationModel, protocol: str, response: Mapping[str, Any], request_id: str
) -> tuple[int, dict[str, str], str]:
    """Status, headers and body of a success."""
    status = int(operation.http.get("responseCode", 200))
    headers: dict[str, str] = {"x-amzn-RequestId": request_id}
    shape = operation.output_shape
    parts: list[str] = []
    if isinstance(shape, StructureShape):
        members = dict(response)
        for name, member in shape.members.items():
            if member.serialization.get("location") == "header" and name in members:
                headers[str(member.serialization.get("name", name))] = str(members.pop(name))
        _members(shape, members, parts)
    inner = "".join(parts)
    metadata = operation.service_model.metadata
    namespace = metadata.get("xmlNamespace")
    name = operation.name
    if protocol == "ec2":
        namespace = f"http://ec2.amazonaws.com/doc/{operation.service_model.api_version}/"
        if shape is None:
            inner = "<return>true</return>"
        body = (
            f'<{name}Response xmlns="{namespace}"><requestId>{request_id}</requestId>{inner}</{name}Response>'
        )
    elif protocol == "query":
        wrapper = shape.serialization.get("resultWrapper") if shape is not None else None
        wrapper = wrapper or f"{name}Result"
        body = (
            f'<{name}Response xmlns="{namespace}"><{wrapper}>{inner}</{wrapper}>'
            f"<ResponseMetadata><RequestId>{request_id}</RequestId></ResponseMetadata></{name}Response>"
        )
    else:
        root = shape.name if shape is not None else f"{name}Response"
        uri = f"https://route53.amazonaws.com/doc/{operation.service_model.api_version}/"
        body = f'<{root} xmlns="{uri}">{inner}</{root}>'
    return status, headers, _HEAD + body


def _members(shape: StructureShape, value: Mapping[str, Any], parts: list[str]) -> None:
    for name, member in shape.members.items():
        if name in value and value[name] is not None:
            _element(member, str(member.serialization.get("name", name)), value[name], parts)


def _element(shape: Shape, tag: str, value: Any, parts: list[str]) -> None:
    if isinstance(shape, ListShape):
        flattened = shape.serialization.get("flattened")
        item_name = shape.member.serialization.get("name")
        if flattened:
            for item in value:
                _element(shape.member, str(item_name or tag), item, parts)
            return
        parts.append(f"<{tag}>")
        for item in value:
            _element(shape.member, str(item_name or "member"), item, parts)
        parts.append(f"</{tag}>")
    elif isinstance(shape, StructureShape):
        parts.append(f"<{tag}>")
        _members(shape, value, parts)
        parts.append(f"</{tag}>")
    elif isinstance(shape, MapShape):
        raise TypeError(f"{shape.name}: no operation of the sandbox answers a map")
    else:
        parts.append(f"<{tag}>{xml_text(_scalar(shape, value))}</{tag}>")


def _scalar(shape: Shape, value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime.datetime):
        utc = value.astimezone(datetime.UTC)
        return utc.strftime("%Y-%m-%dT%H:%M:%S.") + f"{utc.microsecond // 1000:03d}Z"
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    return str(value)


def serialize_fault(protocol: str, fault: AwsFault, request_id: str) -> tuple[int, dict[str, str], str]:
    """Status, headers and body of an error."""
    code, message = xml_text(fault.code), xml_text(fault.message)
    if protocol == "ec2":
        body = (
            f"<Response><Errors><Error><Code>{code}</Code><Message>{message}</Message></Error></Errors>"
            f"<RequestID>{request_id}</RequestID></Response>"
        )
    elif fault.bare:
        body = (
            f'<{code} xmlns="https://route53.amazonaws.com/doc/2013-04-01/"><Messages><Message>{message}'
            f"</Message></Messages><RequestId>{request_id}</RequestId></{code}>"
        )
    else:
        space = (
            "https://sts.amazonaws.com/doc/2011-06-15/"
            if protocol == "query"
            else "https://route53.amazonaws.com/doc/2013-04-01/"
        )
        kind = "Sender" if fault.status < 500 else "Receiver"
        body = (
            f'<ErrorResponse xmlns="{space}"><Error><Type>{kind}</Type><Code>{code}</Code>'
            f"<Message>{message}</Message></Error><RequestId>{request_id}</RequestId></ErrorResponse>"
        )
    return fault.status, {"x-amzn-RequestId": request_id}, _HEAD + body
