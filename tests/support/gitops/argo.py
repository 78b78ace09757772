"""Argo CD's side: scripts run as Argo CD runs those of argocd-cm, and what it makes of the results.

Sources: ``util/lua/lua.go`` and ``gitops-engine/pkg/health/health.go`` of Argo CD 3.5.
"""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import yaml
from lupa import lua51

Json = dict[str, Any]

ARGOCD = Path(__file__).parents[3] / "deploy" / "argocd"
STEPS = 1_000_000
"""Instructions a script may take; Argo CD gives it a second."""
HEALTH_WORDS = frozenset({"Healthy", "Progressing", "Degraded", "Suspended", "Missing", "Unknown"})

# What the base library of gopher-lua offers, without what reads files. `string`, `math`, `io`, `debug` and the global
# `os` do not exist for scripts of argocd-cm; `require` knows os.time and os.date only.
_PRISON = """
local clock = ...
local allowed = {
  assert = true, error = true, getmetatable = true, ipairs = true, next = true, pairs = true, pcall = true,
  print = true, rawequal = true, rawget = true, rawset = true, select = true, setmetatable = true, table = true,
  tonumber = true, tostring = true, type = true, unpack = true, xpcall = true, _G = true, _VERSION = true,
}
local sethook, gsub, find, error = debug.sethook, string.gsub, string.find, error
debug.setmetatable("", nil)
for name in pairs(_G) do
  if not allowed[name] then _G[name] = nil end
end
local formats = { ["%Y"] = "2026", ["%m"] = "01", ["%d"] = "31", ["%X"] = "12:00:00" }
local os = {
  time = function() return 1769860800 end,
  date = function(format)
    if find(format, "!", 1, true) ~= 1 then error("os.date without ! is local time: " .. format) end
    local text = gsub(gsub(format, "^!", ""), "%%%a", formats)
    if find(text, "%", 1, true) then error("os.date format not known here: " .. format) end
    return text
  end,
}
function require(name)
  if name == "os" then return os end
  error("module " .. name .. " not found", 2)
end
return function(steps)
  sethook(function() error("too many steps", 0) end, "", steps)
end
"""


class LuaFailure(Exception):
    """The script raised, ran for too long or returned no table."""


def run(script: str, obj: Json, steps: int = STEPS) -> Any:
    """What the script returns for an object, as JSON values; an empty table is an empty list, as in Argo CD."""
    runtime = lua51.LuaRuntime(register_eval=False, register_builtins=False)
    watch = runtime.execute(_PRISON)
    runtime.globals()["obj"] = _to_lua(runtime, obj)
    watch(steps)
    try:
        returned = runtime.execute(script)
    except lua51.LuaError as error:
        raise LuaFailure(str(error)) from None
    if lua51.lua_type(returned) != "table":
        raise LuaFailure(f"expected a table, got {returned!r}")
    return _from_lua(returned)


def _to_lua(runtime: Any, value: Any) -> Any:
    if isinstance(value, dict):
        return runtime.table_from({k: _to_lua(runtime, v) for k, v in value.items() if v is not None})
    if isinstance(value, list):
        return runtime.table_from([_to_lua(runtime, v) for v in value])
    return value


def _from_lua(value: Any) -> Any:
    if lua51.lua_type(value) != "table":
        # Lua 5.1 has one kind of number; the JSON of a whole one has no point.
        return int(value) if isinstance(value, float) and value.is_integer() else value
    entries = {k: _from_lua(v) for k, v in value.items()}
    if set(entries) == set(range(1, len(entries) + 1)):
        return [entries[n] for n in range(1, len(entries) + 1)]
    return entries


def script(name: str) -> str:
    return (ARGOCD / name).read_text()


def health(obj: Json) -> Json:
    """Argo CD's health of an object: what is being deleted never reaches the script."""
    if obj["metadata"].get("deletionTimestamp"):
        return {"status": "Progressing", "message": "Pending deletion"}
    found = run(script("health.lua"), obj)
    assert found["status"] in HEALTH_WORDS, found
    assert isinstance(found["message"], str), found
    return {"status": found["status"], "message": found["message"]}


def actions(obj: Json) -> dict[str, bool]:
    """The actions that are offered, and whether each is disabled."""
    found = run(script("actions/discovery.lua"), obj)
    return {
        name: bool(entry["disabled"]) if isinstance(entry, dict) else False for name, entry in found.items()
    }


def act(name: str, obj: Json) -> Json:
    """The object as the action wants it to be."""
    made = run(script(f"actions/{name}/action.lua"), copy.deepcopy(obj))
    cleaned = _clean(made, obj)
    assert isinstance(cleaned, dict)
    return cleaned


def _clean(made: Any, source: Any) -> Any:
    """Lua does not tell an empty object from an empty list: where the source has one, it stays one."""
    if isinstance(source, dict):
        if made == []:
            return source
        if isinstance(made, dict):
            return {k: _clean(v, source.get(k)) for k, v in made.items()}
    if isinstance(source, list) and isinstance(made, list) and len(source) >= len(made):
        return [_clean(v, source[n]) for n, v in enumerate(made)]
    return made


def config_map() -> Json:
    """The patch of argocd-cm, from the scripts."""
    definitions = [
        {"name": name, "action.lua": _Block(script(f"actions/{name}/action.lua"))}
        for name in ("reconcile", "suspend", "resume")
    ]
    offered = {"discovery.lua": _Block(script("actions/discovery.lua")), "definitions": definitions}
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "argocd-cm", "namespace": "argocd"},
        "data": {
            "resource.customizations.health.mailegress.io_MailEgress": _Block(script("health.lua")),
            "resource.customizations.actions.mailegress.io_MailEgress": _Block(dump(offered)),
        },
    }


class _Block(str):
    """Text that YAML shows as a block."""


class _Dumper(yaml.SafeDumper):
    pass


_Dumper.add_representer(
    _Block, lambda dumper, text: dumper.represent_scalar("tag:yaml.org,2002:str", str(text), style="|")
)


def dump(document: Any) -> str:
    return str(yaml.dump(document, Dumper=_Dumper, sort_keys=False, width=10_000))
