"""What is known of every MailEgress: slim copies, in the order in which the API server made them.

Events come from three sources that do not wait for each other: the watch, the full lists and the replies to
our own writes. The store takes them in any order and keeps the newest (``api/versions.py``).
"""

from __future__ import annotations

import json
import zlib
from collections import OrderedDict
from collections.abc import Collection, Iterator, Mapping
from typing import Any, NamedTuple

from mailegress.api import status
from mailegress.api.lenient import mapping
from mailegress.api.names import API_VERSION, KIND
from mailegress.api.slim import slim
from mailegress.api.types import MailEgress, parse_object
from mailegress.api.versions import newer

_TOMBSTONES = 10_000
"""UIDs of deleted objects remembered, so that a list begun before a deletion cannot bring the object back."""


_TYPICAL = (
    b'{"metadata":{"name":"mta","namespace":"mail","uid":"00000000-0000-4000-8000-","resourceVersion":"1000","'
    b'generation":1,"creationTimestamp":"2026-01-01T00:00:00Z","finalizers":["mailegress.io/cleanup"]},"spec":'
    b'{"adoption":"Matching","deletionPolicy":"Delete","elasticIPs":[{"allocationID":"eipalloc-0"}],"hostname"'
    b':"mta.example.com","suspend":false},"status":{"addresses":[{"accountID":"111122223333","allocationID":"e'
    b'ipalloc-0","attachedTo":"nat-0","iprev":"pass","ptr":"mta.example.com","ptrOrigin":"Managed","publicIP":'
    b'"203.0.113.7","region":"eu-west-1","selector":"allocationID=eipalloc-0"}],"advisories":[{"addresses":["2'
    b'03.0.113.7"],"code":"HeloSPF","message":"mta.example.com: no SPF record, so nothing states that 203.0.11'
    b'3.7 may send. Publish the TXT record \\"v=spf1 a -all\\" at the hostname."}],"conditions":[{"lastTransitio'
    b'nTime":"2026-01-01T00:00:00Z","message":"Forward and reverse DNS match for mta.example.com (1 address)."'
    b',"observedGeneration":1,"reason":"Ready","status":"True","type":"Ready"},{"lastTransitionTime":"","messa'
    b'ge":"This object holds mta.example.com and its addresses.","observedGeneration":1,"reason":"Accepted","s'
    b'tatus":"True","type":"Accepted"},{"message":"Every authoritative name server returns 203.0.113.7 for mta'
    b'.example.com.","observedGeneration":1,"reason":"RecordInSync","status":"True","type":"ForwardReady"},{"m'
    b'essage":"Every address has the PTR mta.example.com.","observedGeneration":1,"reason":"PTRInSync","status'
    b'":"True","type":"ReverseReady"},{"message":"2 public resolvers return matching A and PTR records for mta'
    b'.example.com (iprev=pass).","observedGeneration":1,"reason":"FCrDNSPass","status":"True","type":"Resolve'
    b'd"}],"display":{"addresses":"203.0.113.7","ptr":"set"},"forward":{"origin":"Managed","ttlSeconds":300,"v'
    b'alues":["203.0.113.7"]},"hostname":"mta.example.com","observedGeneration":1,"publicIPs":["203.0.113.7"],'
    b'"zone":{"accountID":"111122223333","id":"Z0","name":"example.com"}}}'
)
"""What the compression of an object may refer to: one that is Ready. It changes sizes only."""
_WINDOW, _MEMORY = 13, 7
"""Logarithms: enough for an object beside the text above, and an eighth of the working memory of zlib's default."""


class Stored:
    """One object, slim: what the store compares as attributes, the rest as compressed JSON (a tenth of the parsed
    dicts' size).
    """

    __slots__ = ("_payload", "deleting", "generation", "key", "resource_version", "seen", "uid")

    def __init__(self, body: Mapping[str, Any], seen: int) -> None:
        meta = body["metadata"]
        self.key: str = object_key(body)
        self.uid: str = meta["uid"]
        self.resource_version: str = str(meta.get("resourceVersion", ""))
        self.generation = int(meta.get("generation", 0))
        self.deleting = bool(meta.get("deletionTimestamp"))
        self.seen = seen
        text = json.dumps(slim(body), separators=(",", ":"), ensure_ascii=False).encode(
            errors="surrogatepass"
        )
        packer = zlib.compressobj(1, zlib.DEFLATED, -_WINDOW, _MEMORY, zdict=_TYPICAL)
        self._payload = packer.compress(text) + packer.flush()

    def body(self) -> dict[str, Any]:
        """A fresh copy: metadata (what the operator uses of it), spec and status as last seen."""
        text = zlib.decompressobj(-_WINDOW, zdict=_TYPICAL).decompress(self._payload)
        loaded: dict[str, Any] = json.loads(text.decode(errors="surrogatepass"))
        loaded["apiVersion"] = API_VERSION
        loaded["kind"] = KIND
        return loaded

    def parse(self) -> MailEgress:
        """The typed object. Raises :class:`mailegress.api.validation.InvalidObject`."""
        return parse_object(self.body())


class Update(NamedTuple):
    """The store took in a version that it did not have."""

    new: Stored
    replaced: Stored | None
    """Another object that had the same ``namespace/name`` until now, and is gone."""


class Store:
    """All objects by ``namespace/name``."""

    def __init__(self) -> None:
        self._objects: dict[str, Stored] = {}
        self._gone: OrderedDict[str, int] = OrderedDict()
        self._serial = 0

    # ------------------------------------------------------------ reading

    def get(self, key: str) -> Stored | None:
        return self._objects.get(key)

    def keys(self) -> tuple[str, ...]:
        return tuple(self._objects)

    def __len__(self) -> int:
        return len(self._objects)

    def __iter__(self) -> Iterator[Stored]:
        return iter(tuple(self._objects.values()))

    # ------------------------------------------------------------ changing

    def mark(self) -> int:
        """A point in the store's own history; see :meth:`absent`."""
        return self._serial

    def upsert(self, body: Mapping[str, Any], since: int | None = None) -> Update | None:
        """Take in a version of an object. None if a newer or the same one is known, or if the object is
        known to be gone.

        ``since``: it comes from a full list, begun at this :meth:`mark`. Nothing that was heard before can be newer
        than that. If it seems so the API server's store was restored from a backup, and versions went back.

        Raises ValueError for something that is no API object.
        """
        meta = body.get("metadata")
        if not isinstance(meta, Mapping) or not all(isinstance(meta.get(f), str) for f in ("name", "uid")):
            raise ValueError("not an API object: metadata.name or metadata.uid is missing")
        key = object_key(body)
        old = self._objects.get(key)
        self._serial += 1
        if old is not None and not newer(str(meta.get("resourceVersion", "")), old.resource_version):
            known = str(meta.get("resourceVersion", "")) == old.resource_version
            if known or since is None or old.seen > since:
                if old.uid == meta["uid"]:
                    old.seen = self._serial
                return None
        if (buried := self._gone.get(meta["uid"])) is not None:
            if since is None or buried > since:
                return None
            del self._gone[meta["uid"]]
        if old is not None and old.uid == meta["uid"] and status.is_missing(body.get("status")):
            # Whoever deletes the status does not make the operator forget what it wrote.
            kept = status.recorded(old.body().get("status"))
            body = {**body, "status": {**kept, **mapping(body.get("status"))}}
        new = Stored(body, self._serial)
        replaced = old if old is not None and old.uid != new.uid else None
        if replaced is not None:
            self._bury(replaced.uid)
        self._objects[key] = new
        return Update(new, replaced)

    def ahead(self, body: Mapping[str, Any]) -> bool:
        """Is a newer version of this very object known, or that it is gone?"""
        known = self._objects.get(object_key(body))
        meta = body["metadata"]
        if meta["uid"] in self._gone:
            return True
        return (
            known is not None
            and known.uid == meta["uid"]
            and known.resource_version != (version := str(meta.get("resourceVersion", "")))
            and not newer(version, known.resource_version)
        )

    def delete(self, key: str, uid: str | None = None) -> Stored | None:
        """The object is gone; what was known of it is returned, None if nothing was.

        With a ``uid``, only that object: its successor under the same name stays.
        """
        if uid is not None:
            self._bury(uid)
        old = self._objects.get(key)
        if old is None or (uid is not None and old.uid != uid):
            return None
        self._bury(old.uid)
        del self._objects[key]
        return old

    def absent(self, listed: Collection[str], since: int) -> list[str]:
        """The keys of the objects that a full list did not show: deletions that no watch event reported.

        ``since`` is the :meth:`mark` from before the list began. An object that was seen later may be younger
        than the list, so it counts as present.
        """
        return [key for key, item in self._objects.items() if key not in listed and item.seen <= since]

    # ------------------------------------------------------------ inside

    def _bury(self, uid: str) -> None:
        self._serial += 1
        self._gone[uid] = self._serial
        self._gone.move_to_end(uid)
        if len(self._gone) > _TOMBSTONES:
            self._gone.popitem(last=False)


def object_key(body: Mapping[str, Any]) -> str:
    """``namespace/name`` of an API object."""
    meta = body["metadata"]
    return f"{meta.get('namespace', '')}/{meta['name']}"
