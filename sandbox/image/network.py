"""What pip needs inside a build to reach the packages that this machine reaches: its configuration, its certificates.

They travel as build secrets, which no layer keeps and no file of the repository names.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

CA_IN_BUILD = "/run/secrets/ca.pem"
"""Where the Dockerfile mounts the certificates."""

_LINE = re.compile(r"^(?P<section>[^.=\s]+)\.(?P<key>[^=\s]+)='(?P<value>.*)'$")
_CONNECTING = (
    "index-url",
    "extra-index-url",
    "trusted-host",
    "proxy",
    "timeout",
    "default-timeout",
    "retries",
    "no-index",
)
"""The options that say how to reach an index. Others (a cache, a folder of wheels) mean paths of this machine."""
_CERTIFICATES = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")


def pip_secrets(environ: Mapping[str, str], listed: str, directory: Path) -> dict[str, Path]:
    """Secret ID → file, for what `pip config list` printed. The files are this user's only.

    Empty on a machine whose pip is not configured and whose certificates are the usual ones.
    """
    options: dict[str, str] = {}
    certificates = next((environ[name] for name in _CERTIFICATES if environ.get(name)), "")
    for line in listed.splitlines():
        found = _LINE.match(line.strip())
        if found is None:
            continue
        # Sections come in the order in which pip lets the later one win; the environment (`:env:`) is the last.
        key, value = found["key"], found["value"].encode().decode("unicode_escape")
        if key == "cert":
            certificates = value
        elif key in _CONNECTING:
            options[key] = value
    secrets: dict[str, Path] = {}
    if certificates and Path(certificates).is_file():
        secrets["ca.pem"] = Path(certificates)
        options["cert"] = CA_IN_BUILD
    if options:
        secrets["pip.conf"] = directory / "pip.conf"
        lines = (
            f"{key} = {value.replace(chr(10), chr(10) + '    ')}\n" for key, value in sorted(options.items())
        )
        secrets["pip.conf"].touch(0o600)
        secrets["pip.conf"].write_text("[global]\n" + "".join(lines))
    return secrets


def pip_config(environ: Mapping[str, str]) -> str:
    """What `pip config list` prints here; nothing if this Python has no pip."""
    done = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"],
        env=dict(environ),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout if done.returncode == 0 else ""
