"""Lists and watch events as they come in, object by object, each cut to what the operator reads of it.

A page of a list may be a hundred times as large as what is kept of it: annotations are anybody's, up to 256 KiB for
each object, and an object may have 1.5 MiB. So a reply is never held whole, whatever number of objects it has: one
object at a time is parsed, slimmed and kept. kopf is given the slim form too.
"""

from __future__ import annotations

import codecs
import json
from collections.abc import Callable, Mapping
from typing import Any, Final

from mailegress.api.slim import slim

PLAIN: Final = {"Accept-Encoding": "identity"}
"""For lists: a compressed reply can be inflated a thousandfold in one piece."""
LONG_LINE: Final = 16_384
"""Bytes from which on a watch event is cut; what most objects have is passed on as it is."""

Trim = Callable[[Any], Any]
"""Makes of an API object what is kept of it."""

_CHUNK: Final = 65_536
_SPACE: Final = " \t\r\n"
_decoder: Final = json.JSONDecoder()


class ListReader:
    """A list (``{"kind": …, "metadata": {…}, "items": [{…}, …]}``) in pieces, as they come over the wire.

    ``trim`` makes of each item what is kept of it.
    """

    def __init__(self, trim: Trim | None = None) -> None:
        self._trim = trim or slim_object
        self._decode = codecs.getincrementaldecoder("utf-8")().decode
        self._text = ""
        self._at = 0
        self._worthwhile = 0
        self._state = self._begin
        self._name = ""
        self._members: dict[str, Any] = {}
        self._done = False

    def feed(self, data: bytes, *, last: bool = False) -> None:
        """Take in the next piece. Raises ValueError for what is no JSON object."""
        self._text = self._text[self._at :] + self._decode(data, last)
        self._at = 0
        # An unfinished object is parsed from its beginning every time: not before there is twice as much of it.
        if len(self._text) < self._worthwhile and not last:
            return
        while self._state():
            pass
        self._worthwhile = 2 * (len(self._text) - self._at)

    def result(self) -> dict[str, Any]:
        """The list, with slim items. Raises ValueError if it is not complete."""
        self.feed(b"", last=True)
        if not self._done or self._text[self._at :].strip(_SPACE):
            raise ValueError("not one complete JSON object")
        return self._members

    # Each state takes one thing off the text; False: more text is needed, or nothing is left to be read.

    def _next(self) -> str:
        while self._at < len(self._text) and self._text[self._at] in _SPACE:
            self._at += 1
        return self._text[self._at : self._at + 1]

    def _value(self) -> tuple[Any] | None:
        """The value that begins here, None if its end has not come in yet."""
        try:
            value, end = _decoder.raw_decode(self._text, self._at)
        except ValueError:
            return None
        if end == len(self._text):
            return None  # a number may go on
        self._at = end
        return (value,)

    def _begin(self) -> bool:
        if (sign := self._next()) and sign != "{":
            raise ValueError("not a JSON object")
        if sign:
            self._at += 1
            self._state = self._member
        return bool(sign)

    def _member(self) -> bool:
        sign = self._next()
        if sign == ",":
            self._at += 1
        elif sign == "}":
            self._at += 1
            self._done = True
            self._state = self._end
        elif (name := self._value()) is not None:
            self._name = str(name[0])
            self._state = self._colon
        else:
            return False
        return True

    def _colon(self) -> bool:
        if (sign := self._next()) and sign != ":":
            raise ValueError("not a JSON object")
        if sign:
            self._at += 1
            self._state = self._content
        return bool(sign)

    def _content(self) -> bool:
        sign = self._next()
        if self._name == "items" and sign == "[":
            self._at += 1
            self._members["items"] = []
            self._state = self._item
        elif (value := self._value() if sign else None) is not None:
            self._members[self._name] = value[0]
            self._state = self._member
        else:
            return False
        return True

    def _item(self) -> bool:
        sign = self._next()
        if sign == ",":
            self._at += 1
        elif sign == "]":
            self._at += 1
            self._state = self._member
        elif (value := self._value() if sign else None) is not None:
            self._members["items"].append(self._trim(value[0]))
        else:
            return False
        return True

    def _end(self) -> bool:
        return False


async def read_list(content: Any, trim: Trim | None = None) -> dict[str, Any]:
    """A whole reply from a stream with aiohttp's ``iter_chunked``, with slim items. Raises ValueError."""
    reader = ListReader(trim)
    async for data in content.iter_chunked(_CHUNK):
        reader.feed(data)
    return reader.result()


def slim_object(body: Any) -> Any:
    """An API object, slim; anything else as it is."""
    meta = body.get("metadata") if isinstance(body, Mapping) else None
    if not isinstance(meta, Mapping) or "uid" not in meta:
        return body
    return {member: body[member] for member in ("apiVersion", "kind") if member in body} | slim(body)


def slim_event(line: bytes) -> bytes:
    """A line of a watch with its object slim, if it is long. Raises ValueError for what is no JSON."""
    if len(line) <= LONG_LINE:
        return line
    event = json.loads(line)
    if isinstance(event, dict) and "object" in event:
        event["object"] = slim_object(event["object"])
    return json.dumps(event, separators=(",", ":")).encode() + b"\n"
