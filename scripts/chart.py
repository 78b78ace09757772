"""Writes the generated parts of the Helm chart, or checks that they are up to date.

    python scripts/chart.py            # rewrite
    python scripts/chart.py --check    # exit 1 and name the files that differ

The chart carries its own copies, because a packaged chart cannot refer to files outside itself: the CRDs from
crds/, alerts and dashboard from deploy/observability/, the settings from the operator's code, its version.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import types
import typing
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from mailegress import __version__
from mailegress.cli.settings import Settings, Spec, specs

REPO = Path(__file__).resolve().parent.parent
CHART = REPO / "deploy" / "helm" / "mailegress"
CRDS = REPO / "crds"
OBSERVABILITY = REPO / "deploy" / "observability"

_WIDTH = 124
_CHOICES: Mapping[str, Sequence[str]] = {
    "log_format": ("json", "text"),
    "log_level": ("debug", "info", "warning", "error"),
}
"""Settings with a closed set of values; a test proves that the operator takes each and nothing else is left out."""
_ELSEWHERE = frozenset({"policy", "external_dns"})
"""Settings that have a value of their own outside `settings`: `policy.mode` and `externalDNS.enabled`, with which the
chart grants rights."""


def listed() -> tuple[Spec, ...]:
    """The settings below `settings`."""
    return tuple(spec for spec in specs() if spec.name not in _ELSEWHERE)


def camel(name: str) -> str:
    """``zoneRoleArn`` of ``zone_role_arn``."""
    first, *rest = name.split("_")
    return first + "".join(part.capitalize() for part in rest)


def between(text: str, begin: str, end: str, new: str) -> str:
    """`text` with what stands between the two marks replaced.

    Raises:
        SystemExit: a mark is missing.
    """
    if begin not in text or end not in text:
        raise SystemExit(f"chart: the marks {begin!r} and {end!r} are missing")
    head, rest = text.split(begin, 1)
    _, tail = rest.split(end, 1)
    return f"{head}{begin}{new}{end}{tail}"


# ---------------------------------------------------------------- settings


def settings_values() -> str:
    """The `settings` of values.yaml: every setting of the operator, unset."""
    lines, panel = ["settings:"], ""
    for spec in listed():
        if spec.panel != panel:
            panel = spec.panel
            lines.append(f"  # {panel}")
        lines += _comment(f"{spec.help} Default: {spec.shown_default}.", "  ")
        lines.append(f"  {camel(spec.name)}: null")
    return "\n" + "\n".join(lines) + "\n"


def _comment(text: str, indent: str) -> Iterator[str]:
    line = f"{indent}# --"
    for word in text.split():
        if len(line) + 1 + len(word) > _WIDTH:
            yield line
            line = f"{indent}#"
        line += f" {word}"
    yield line


def settings_schema() -> dict[str, Any]:
    """The schema of `settings`: a name that is no setting is refused."""
    hints = typing.get_type_hints(Settings)
    return {
        "type": "object",
        "additionalProperties": False,
        "properties": {camel(spec.name): _setting_schema(spec, hints[spec.name]) for spec in listed()},
    }


def _setting_schema(spec: Spec, hint: Any) -> dict[str, Any]:
    kind: dict[str, Any]
    if spec.name in _CHOICES:
        return {"enum": [*_CHOICES[spec.name], None], "description": spec.help}
    if spec.name == "http_address":
        kind = {"type": ["string", "null"], "pattern": ":[0-9]+$"}
    elif typing.get_origin(hint) is tuple:
        # A list, or one string as on the command line.
        kind = {"type": ["array", "string", "null"], "items": {"type": "string", "minLength": 1}}
    elif hint is bool:
        kind = {"type": ["boolean", "null"]}
    elif hint is int:
        kind = {"type": ["integer", "null"], "minimum": 0}
    elif hint is float:
        kind = {"type": ["number", "null"], "minimum": 0}
    else:
        kind = {"type": ["string", "null"]}
    return kind | {"description": spec.help}


# ---------------------------------------------------------------- values table


def value_sections(text: str) -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """Title of each section of values.yaml, and in it the path and the meaning of each value with a `# --` comment."""
    title, rows = "", list[tuple[str, str]]()
    path: list[tuple[int, str]] = []
    comment: list[str] | None = None
    for line in text.splitlines():
        heading = re.fullmatch(r"## (.+)", line)
        begun = re.fullmatch(r"\s*# -- (.+)", line)
        goes_on = re.fullmatch(r"\s*# (.+)", line)
        key = re.match(r"(\s*)([A-Za-z][A-Za-z0-9]*):", line)
        if heading:
            if rows:
                yield title, rows
            title, rows = heading[1], []
        elif begun:
            comment = [begun[1]]
        elif goes_on and comment is not None:
            comment.append(goes_on[1])
        elif key:
            depth = len(key[1])
            path = [*(part for part in path if part[0] < depth), (depth, key[2])]
            if comment is not None:
                rows.append((".".join(name for _, name in path), " ".join(comment)))
            comment = None
        else:
            comment = None
    yield title, rows


def lookup(values: Any, path: str) -> Any:
    """The value at a dotted path."""
    for name in path.split("."):
        values = values[name]
    return values


def values_tables() -> str:
    """The README's tables."""
    text = (CHART / "values.yaml").read_text()
    values = yaml.safe_load(text)
    parts = []
    for title, rows in value_sections(text):
        lines = [f"### {title}", ""]
        if title == "Settings":
            lines += ["Each is a flag of `mailegress run`; unset leaves the operator's own default.", ""]
        lines += ["| value | default | meaning |", "| --- | --- | --- |"]
        for path, meaning in rows:
            default = "unset" if lookup(values, path) is None else f"`{json.dumps(lookup(values, path))}`"
            cells = (f"`{path}`", default, re.sub(r"<(?=[A-Za-z])", "&lt;", meaning))
            lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
        parts.append("\n".join(lines) + "\n")
    return "\n" + "\n".join(parts) + "\n"


# ---------------------------------------------------------------- files


def values_yaml() -> str:
    """values.yaml with the settings of now."""
    text = (CHART / "values.yaml").read_text()
    return between(text, "# begin of generated settings", "# end of generated settings", settings_values())


def schema_json() -> str:
    """values.schema.json with the settings of now."""
    schema = json.loads((CHART / "values.schema.json").read_text())
    schema["properties"]["settings"] = settings_schema()
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def readme() -> str:
    """README.md with the tables of now."""
    text = (CHART / "README.md").read_text()
    return between(text, "<!-- generated: values -->", "<!-- end of values -->", values_tables())


def chart_yaml() -> str:
    """Chart.yaml with the operator's version."""
    text = (CHART / "Chart.yaml").read_text()
    text = re.sub(r"(?m)^version: .*$", f"version: {__version__}", text)
    text = re.sub(r"(?m)^appVersion: .*$", f'appVersion: "{__version__}"', text)
    return re.sub(r"(image: ghcr\.io/mailegress/mailegress:).*", rf"\g<1>{__version__}", text)


def crd_template(name: str) -> str:
    """A CRD as a template: the file of crds/ with labels and, if wanted, Helm's keep annotation."""
    text = (CRDS / name).read_text()
    if "{{" in text or "annotations:" in text.split("\nspec:")[0]:
        raise SystemExit(f"chart: {name} has braces or annotations that the template would clash with")
    metadata = (
        "metadata:\n"
        "  labels:\n"
        '    {{- include "mailegress.labels" . | nindent 4 }}\n'
        "  {{- if .Values.crds.keep }}\n"
        "  annotations:\n"
        "    helm.sh/resource-policy: keep\n"
        "  {{- end }}\n"
    )
    _, body = text.split("apiVersion:", 1)
    body = body.replace("\nmetadata:\n", f"\n{metadata}", 1)
    return (
        "{{- /* Written by scripts/chart.py from crds/. */}}\n"
        f"{{{{- if .Values.crds.install }}}}\napiVersion:{body}{{{{- end }}}}\n"
    )


FILES: Mapping[Path, Callable[[], str]] = types.MappingProxyType(
    {
        CHART / "values.yaml": values_yaml,
        CHART / "values.schema.json": schema_json,
        CHART / "README.md": readme,
        CHART / "Chart.yaml": chart_yaml,
        CHART / "templates" / "crd.yaml": lambda: crd_template("mailegress.io_mailegresses.yaml"),
        CHART / "templates" / "crd-policies.yaml": lambda: crd_template(
            "mailegress.io_mailegresspolicies.yaml"
        ),
        CHART / "files" / "alerts.yaml": (OBSERVABILITY / "alerts.yaml").read_text,
        CHART / "files" / "dashboard.json": (OBSERVABILITY / "dashboard.json").read_text,
    }
)
"""Each generated file, and what it should contain; in this order, as the README is made of values.yaml."""


def main(argv: Sequence[str] | None = None) -> int:
    """Write or check; the process's exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--check", action="store_true", help="change nothing; exit 1 if a file differs")
    check = parser.parse_args(argv).check
    stale = []
    for path, make in FILES.items():
        wanted = make()
        if not path.exists() or path.read_text() != wanted:
            stale.append(path.relative_to(REPO))
            if not check:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(wanted)
    for each in stale:
        print(f"{each} {'is out of date: python scripts/chart.py' if check else 'written'}")
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
