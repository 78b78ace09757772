"""Requests to parameters: rest-xml bodies, and the two query protocols' flat keys."""

from __future__ import annotations

import base64
import datetime
from collections.abc import Mapping
from typing import Any
from xml.etree import ElementTree

from botocore.model import ListShape, MapShape, OperationModel, Shape, StructureShape

Tree = dict[str, Any]


class Malformed(Exception):
    """The request does not have the form that its operation describes."""


# -- rest-xml -----------------------------------------------------------------------------------------------


def parse_rest_xml(
    operation: OperationModel,
    path: Mapping[str, str],
    query: Mapping[str, str],
    headers: Mapping[str, str],
    body: bytes,
) -> dict[str, Any]:
    """Parameters from path, query, headers and XML body."""
    shape = operation.input_shape
    if not isinstance(shape, StructureShape):
        return {}
    out: dict[str, Any] = {}
    root = _xml(body)
    payload = shape.serialization.get("payload")
    for name, member in shape.members.items():
        location = member.serialization.get("location")
        wire_name = str(member.serialization.get("name", name))
        source = {"uri": path, "querystring": query, "header": headers}.get(str(location))
        if source is not None:
            if wire_name in source:
                out[name] = _scalar(member, source[wire_name])
        elif root is not None and location is None:
            if payload == name:
                out[name] = _from_xml(member, [root])
            else:
                nodes = _children(root, member, name)
                if nodes:
                    out[name] = _from_xml(member, nodes)
    return out


def _xml(body: bytes) -> ElementTree.Element | None:
    if not body.strip():
        return None
    try:
        return ElementTree.fromstring(body)
    except ElementTree.ParseError as error:
        raise Malformed(str(error)) from error


def _local(node: ElementTree.Element) -> str:
    return node.tag.rsplit("}", 1)[-1]


def _children(node: ElementTree.Element, member: Shape, name: str) -> list[ElementTree.Element]:
    wanted = str(member.serialization.get("name", name))
    if isinstance(member, ListShape) and member.serialization.get("flattened"):
        wanted = str(member.member.serialization.get("name", wanted))
    return [child for child in node if _local(child) == wanted]


def _from_xml(shape: Shape, nodes: list[ElementTree.Element]) -> Any:
    if isinstance(shape, StructureShape):
        out: dict[str, Any] = {}
        for name, member in shape.members.items():
            found = _children(nodes[0], member, name)
            if found:
                out[name] = _from_xml(member, found)
        return out
    if isinstance(shape, ListShape):
        items = nodes if shape.serialization.get("flattened") else list(nodes[0])
        return [_from_xml(shape.member, [item]) for item in items]
    return _scalar(shape, nodes[0].text or "")


# -- query and ec2 ------------------------------------------------------------------------------------------


def parse_query(operation: OperationModel, form: Mapping[str, str], protocol: str) -> dict[str, Any]:
    """Parameters from the flat keys `Filter.1.Name` (ec2) or `PolicyArns.member.1.arn` (query)."""
    shape = operation.input_shape
    if not isinstance(shape, StructureShape):
        return {}
    tree: Tree = {}
    for key, value in form.items():
        if key in ("Action", "Version"):
            continue
        node = tree
        *parents, leaf = key.split(".")
        for part in parents:
            child = node.setdefault(part, {})
            if not isinstance(child, dict):
                raise Malformed(f"{key} contradicts another parameter")
            node = child
        node[leaf] = value
    parsed = _from_tree(shape, tree, protocol)
    return dict(parsed)


def _query_name(member: Shape, name: str, protocol: str) -> str:
    if protocol == "ec2":
        if "queryName" in member.serialization:
            return str(member.serialization["queryName"])
        wire = member.serialization.get("name")
        return wire[0].upper() + wire[1:] if wire else name
    if isinstance(member, ListShape) and member.serialization.get("flattened"):
        return str(member.member.serialization.get("name", member.serialization.get("name", name)))
    return str(member.serialization.get("name", name))


def _from_tree(shape: Shape, node: Any, protocol: str) -> Any:
    if isinstance(shape, StructureShape):
        if not isinstance(node, dict):
            raise Malformed(f"{shape.name} is not a structure")
        out: dict[str, Any] = {}
        for name, member in shape.members.items():
            wire = _query_name(member, name, protocol)
            if wire in node:
                out[name] = _from_tree(member, node[wire], protocol)
        return out
    if isinstance(shape, ListShape):
        if protocol == "query" and not shape.serialization.get("flattened") and isinstance(node, dict):
            node = node.get(str(shape.member.serialization.get("name", "member")), {})
        if not isinstance(node, dict):  # an empty list is sent as `Name=`
            return []
        try:
            ordered = sorted(node.items(), key=lambda item: int(item[0]))
        except ValueError as error:
            raise Malformed(f"list index in {shape.name}: {error}") from error
        return [_from_tree(shape.member, value, protocol) for _, value in ordered]
    if isinstance(node, dict) or isinstance(shape, MapShape):
        raise Malformed(f"{shape.name} is not a plain value")
    return _scalar(shape, node)


def _scalar(shape: Shape, text: str) -> Any:
    kind = shape.type_name
    try:
        if kind in ("integer", "long"):
            return int(text)
        if kind in ("float", "double"):
            return float(text)
        if kind == "blob":
            return base64.b64decode(text)
        if kind == "timestamp":
            return datetime.datetime.fromisoformat(text)
    except ValueError as error:
        raise Malformed(f"{shape.name}: {error}") from error
    if kind == "boolean":
        return text.lower() == "true"
    return text
