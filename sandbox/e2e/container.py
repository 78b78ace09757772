"""The operator's container, seen from inside: its rights, what is in the image, and how fast it starts.

The image has no shell; everything is asked of its Python.
"""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from sandbox.image import version

from .cluster import NAMESPACE, Cluster, E2eError

START_LIMIT_S = 2.0
"""From the start of the process to its first list of MailEgresses."""

_STATE = """\
import botocore.session, importlib.util as u, json, os, pathlib, shutil, sys
import mailegress.cli.main, mailegress.cli.run
def written(path):
    try: open(path, 'w').close()
    except OSError as e: return e.strerror
    return 'written'
def unknown(service):
    try: botocore.session.Session().create_client(service, region_name='eu-west-1')
    except Exception as e: return f'{service}: {e}'
def compiled(path):
    # Flag 1: valid whatever the time of the source is.
    return os.path.exists(path) and open(path, 'rb').read(8)[4:] == b'\\1\\0\\0\\0'
status = dict(l.split(':', 1) for l in open('/proc/1/status').read().splitlines() if ':' in l)
print(json.dumps({
    'uid': os.getuid(), 'gid': os.getgid(), 'caps': status['CapEff'].strip(), 'seccomp': status['Seccomp'].strip(),
    'no_new_privs': status['NoNewPrivs'].strip(), 'rss_mb': round(int(status['VmRSS'].split()[0]) / 1024),
    'root': written('/opt/mailegress/x'), 'tmp': written('/tmp/x'),
    'modules': [m for m in ('pip', 'setuptools', 'wheel', 'kubernetes') if u.find_spec(m)],
    'installable': [str(p) for p in pathlib.Path('/usr').glob('share/python-wheels/*.whl')]
        + [str(p) for p in pathlib.Path('/usr').glob('l*/**/ensurepip/_bundled/*.whl')],
    'programs': [p for p in ('sh', 'bash', 'dash', 'busybox', 'perl', 'apt-get', 'dpkg', 'pip', 'pip3', 'gcc', 'cc',
        'make', 'git', 'curl') if shutil.which(p)],
    'not_compiled': [n for n, m in list(sys.modules.items())
        if getattr(m, '__cached__', None) and not compiled(m.__cached__)],
    'no_client': [e for e in map(unknown, ('ec2', 'route53', 'sts', 'sso', 'sso-oidc', 'signin')) if e],
}))
"""
_EXPECTED = {
    "uid": 65532,
    "gid": 65532,
    "caps": "0000000000000000",
    "seccomp": "2",
    "no_new_privs": "1",
    "root": "Read-only file system",
    "tmp": "written",
    "modules": [],
    "installable": [],
    "programs": [],
    "not_compiled": [],
    "no_client": [],
}
_START = """\
import os, time
age = float(open('/proc/uptime').read().split()[0])
ticks = int(open('/proc/1/stat').read().rpartition(')')[2].split()[19])
print(time.time() - age + ticks / os.sysconf('SC_CLK_TCK'))
"""
_BESIDE = "assert b'mailegress' in open('/proc/1/cmdline', 'rb').read()"
"""Fails unless the processes of the operator's container are visible."""
_BESIDE_S = 60.0
_LISTED = "started version="
"""In the log line that the operator writes when it has listed all MailEgresses."""


def check_container(cluster: Cluster, pod: str) -> int:
    """Memory in use, in MB. Raises E2eError if the container is not as it is to be."""
    told = cluster.kubectl("exec", "-n", NAMESPACE, pod, "--", "mailegress", "version").strip()
    if version() not in told:
        raise E2eError(f"`mailegress version` prints {told!r} in the pod, not {version()}")
    seen: dict[str, Any] = json.loads(_python(cluster, pod, _STATE))
    memory = int(seen.pop("rss_mb"))
    if seen != _EXPECTED:
        raise E2eError(f"the container is not as it should be:\n  found  {seen}\n  wanted {_EXPECTED}")
    return memory


def check_debugging(cluster: Cluster, pod: str) -> None:
    """A container that `kubectl debug` adds is admitted and sees the operator's processes. Raises E2eError if not."""
    image = cluster.object("pod", pod, "-n", NAMESPACE)["spec"]["containers"][0]["image"]
    how = (f"--image={image}", "--container=look", "--target=operator", "--profile=restricted")
    cluster.kubectl("debug", pod, "-n", NAMESPACE, *how, "--", "python", "-c", _BESIDE)
    cluster.wait(lambda: bool(_ended(cluster, pod)), _BESIDE_S, "the container of kubectl debug to end")
    if (ended := _ended(cluster, pod))["exitCode"] != 0:
        raise E2eError(f"the container of kubectl debug does not see the operator: {ended}")


def seconds_to_list(cluster: Cluster, pod: str) -> float:
    """From the start of the pod's process to its first list of MailEgresses."""
    began = float(_python(cluster, pod, _START))
    log = cluster.kubectl("logs", "-n", NAMESPACE, pod, "--timestamps")
    found = next((line.split()[0] for line in log.splitlines() if _LISTED in line), None)
    if found is None:
        raise E2eError(f"{pod} is ready and did not log {_LISTED!r}:\n{log}")
    return round(datetime.fromisoformat(found).timestamp() - began, 2)


def _python(cluster: Cluster, pod: str, program: str) -> str:
    return cluster.kubectl("exec", "-n", NAMESPACE, pod, "--", "python", "-c", program)


def _ended(cluster: Cluster, pod: str) -> dict[str, Any]:
    """How the container of `kubectl debug` ended; empty while it has not."""
    statuses = cluster.object("pod", pod, "-n", NAMESPACE)["status"].get("ephemeralContainerStatuses", [])
    found: dict[str, Any] = statuses[0]["state"].get("terminated", {}) if statuses else {}
    return found
