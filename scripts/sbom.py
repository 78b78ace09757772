"""Write the bill of materials of the image's Python environment: CycloneDX, from the hash-locked requirements.

    python scripts/sbom.py build/sbom.cdx.json

cyclonedx-py lists the lock. What the lock does not say is added: which version of MailEgress it is for and
which packages MailEgress asks for itself. Equal inputs give equal files.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

from mailegress import __version__

REPO = Path(__file__).resolve().parent.parent
LOCK = REPO / "requirements" / "run.txt"
PYPROJECT = REPO / "pyproject.toml"
ROOT = "mailegress"


def normalised(name: str) -> str:
    """A package's name as the index compares it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def direct() -> set[str]:
    """Names of the packages that MailEgress itself asks for."""
    project = tomllib.loads(PYPROJECT.read_text())["project"]
    return {normalised(re.split(r"[\s\[<>=!~;]", each, maxsplit=1)[0]) for each in project["dependencies"]}


def bill() -> dict[str, Any]:
    """The document. Raises CalledProcessError with cyclonedx-py's own words on standard error."""
    listed = subprocess.run(
        [
            *(sys.executable, "-W", "ignore", "-m", "cyclonedx_py", "requirements", str(LOCK)),
            *("--pyproject", str(PYPROJECT), "--output-reproducible", "--output-format", "JSON"),
        ],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    document: dict[str, Any] = json.loads(listed.stdout)
    root = document["metadata"]["component"]
    root |= {"bom-ref": ROOT, "version": __version__, "purl": f"pkg:pypi/{ROOT}@{__version__}"}
    wanted = direct()
    needs = [c["bom-ref"] for c in document["components"] if normalised(c["name"]) in wanted]
    others = [each for each in document["dependencies"] if each["ref"] != "root-component"]
    document["dependencies"] = [{"ref": ROOT, "dependsOn": sorted(needs)}, *others]
    return document


def main() -> None:
    target = Path(sys.argv[1])
    target.parent.mkdir(parents=True, exist_ok=True)
    document = bill()
    target.write_text(json.dumps(document, indent=2) + "\n")
    print(f"{target}: {len(document['components'])} packages of {ROOT} {__version__}")


if __name__ == "__main__":
    main()
