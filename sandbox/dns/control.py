"""Control operations with JSON values, for the sandbox's HTTP control API."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

from sandbox.dns.knobs import Knob
from sandbox.dns.model import DnsWorld
from sandbox.dns.values import absolute

Args = Mapping[str, Any]


class DnsControl:
    """``control("delegate", {"zone": …, "ns": […]})`` and so on; :meth:`ops` lists all of them."""

    def __init__(self, world: DnsWorld) -> None:
        self._world = world
        self._ops: dict[str, Callable[[Args], dict[str, Any]]] = {
            "servers": self._servers,
            "query": self._query,
            "delegations": self._delegations,
            "delegate": self._delegate,
            "undelegate": self._undelegate,
            "release": self._release,
            "auto-delegate": self._auto_delegate,
            "knobs": self._knobs,
            "knob-add": self._knob_add,
            "knob-remove": self._knob_remove,
            "knob-clear": self._knob_clear,
            "flush": self._flush,
            "cache": self._cache,
            "recursor": self._recursor,
            "zone-put": self._zone_put,
            "zone-remove": self._zone_remove,
            "record-get": self._record_get,
            "record-put": self._record_put,
            "record-remove": self._record_remove,
            "log": self._log,
            "counters": self._counters,
            "log-clear": self._log_clear,
        }

    def ops(self) -> list[str]:
        """Names of all operations."""
        return sorted(self._ops)

    def control(self, op: str, args: Args) -> dict[str, Any]:
        """Do one operation. Raises KeyError (unknown operation, server, zone) or ValueError (bad value)."""
        if op not in self._ops:
            raise KeyError(f"unknown operation {op!r}; known are {self.ops()}")
        return self._ops[op](args)

    def _servers(self, args: Args) -> dict[str, Any]:
        layout = asdict(self._world.layout)
        return {"servers": layout}

    def _query(self, args: Args) -> dict[str, Any]:
        reply = self._world.query(
            args["server"],
            args["name"],
            args.get("type", "A"),
            bool(args.get("rd", False)),
            args.get("transport", "udp"),
        )
        return {"reply": None if reply is None else asdict(reply)}

    def _delegations(self, args: Args) -> dict[str, Any]:
        found = self._world.registry.delegations()
        return {
            "delegations": {
                name: {"ns": list(d.ns_names), "glue": {h: list(ips) for h, ips in d.glue.items()}}
                for name, d in sorted(found.items())
            }
        }

    def _delegate(self, args: Args) -> dict[str, Any]:
        """``ttl``: seconds, of the NS set at the parent (default: as of all parents)."""
        ttl = int(args["ttl"]) if args.get("ttl") is not None else None
        done = self._world.registry.delegate(args["zone"], args["ns"], args.get("glue"), ttl)
        return {"zone": done.name, "ns": list(done.ns_names)}

    def _undelegate(self, args: Args) -> dict[str, Any]:
        return {"removed": self._world.registry.undelegate(args["zone"])}

    def _release(self, args: Args) -> dict[str, Any]:
        self._world.registry.release(args["zone"])
        return {}

    def _auto_delegate(self, args: Args) -> dict[str, Any]:
        self._world.registry.set_auto_delegate(bool(args["on"]))
        return {"on": bool(args["on"])}

    def _knobs(self, args: Args) -> dict[str, Any]:
        return {"knobs": {str(i): knob.to_json() for i, knob in self._world.knobs.all().items()}}

    def _knob_add(self, args: Args) -> dict[str, Any]:
        knob = Knob.from_json(args)
        if knob.server != "*":
            self._world.address_of(knob.server)
        return {"id": self._world.knobs.add(knob)}

    def _knob_remove(self, args: Args) -> dict[str, Any]:
        return {"removed": self._world.knobs.remove(int(args["id"]))}

    def _knob_clear(self, args: Args) -> dict[str, Any]:
        self._world.knobs.clear()
        return {}

    def _flush(self, args: Args) -> dict[str, Any]:
        """``server`` (default: all recursors), ``name`` (default: everything)."""
        chosen = self._world.recursors().values()
        if args.get("server") is not None:
            chosen = {args["server"]: self._world.recursor(args["server"])}.values()
        return {"dropped": sum(recursor.flush(args.get("name")) for recursor in chosen)}

    def _cache(self, args: Args) -> dict[str, Any]:
        return {"entries": self._world.recursor(args["server"]).cached()}

    def _recursor(self, args: Args) -> dict[str, Any]:
        """Set ``caching`` and ``ttl_scale`` of one recursor."""
        recursor = self._world.recursor(args["server"])
        if "caching" in args:
            recursor.caching = bool(args["caching"])
        if "ttl_scale" in args:
            if float(args["ttl_scale"]) < 0:
                raise ValueError(f"ttl_scale must not be negative, is {args['ttl_scale']}")
            recursor.ttl_scale = float(args["ttl_scale"])
        return {"caching": recursor.caching, "ttl_scale": recursor.ttl_scale}

    def _zone_put(self, args: Args) -> dict[str, Any]:
        zone = self._world.add_zone(args["zone"], args.get("servers"), delegate=args.get("delegate", True))
        return {"zone": zone.apex, "ns": list(zone.ns_names)}

    def _zone_remove(self, args: Args) -> dict[str, Any]:
        self._world.remove_zone(args["zone"])
        return {}

    def _record_get(self, args: Args) -> dict[str, Any]:
        return {"records": dict(self._world.zone(args["zone"]).lookup(absolute(args["name"])) or {})}

    def _record_put(self, args: Args) -> dict[str, Any]:
        zone = self._world.zone(args["zone"])
        zone.put(args["name"], args["type"], args["values"], int(args.get("ttl", 300)))
        return {}

    def _record_remove(self, args: Args) -> dict[str, Any]:
        return {"removed": self._world.zone(args["zone"]).drop(args["name"], args.get("type"))}

    def _log(self, args: Args) -> dict[str, Any]:
        found = self._world.journal.queries(
            server=args.get("server"),
            qname=args.get("name"),
            client=args.get("client"),
            last=args.get("last"),
        )
        return {"queries": [asdict(query) for query in found]}

    def _counters(self, args: Args) -> dict[str, Any]:
        rows = sorted(self._world.journal.counters().items())
        return {
            "counters": [
                {"server": server, "name": name, "type": rtype, "rcode": rcode, "count": count}
                for (server, name, rtype, rcode), count in rows
            ]
        }

    def _log_clear(self, args: Args) -> dict[str, Any]:
        self._world.journal.clear()
        return {}
