"""What a run needs before it starts, and the two ways to run it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

from sandbox.controlplane.foreign import Kind, KindControlPlane
from sandbox.controlplane.gobuild import PACKAGES, GoBuild, builder
from sandbox.image import build_image
from sandbox.image.build import pause_image
from sandbox.image.engines import answering_engine
from sandbox.node.config import PAUSE_IMAGE
from sandbox.node.namespace import Namespaces
from sandbox.node.plane import PACKAGES as NODE_PACKAGES
from sandbox.operator import REPO
from sandbox.packages import need_programs, with_sbin
from sandbox.tools import tool
from sandbox.tools.cache import Cache
from sandbox.tools.gotool import GoModule, GoTool, build

from . import choice
from .former import Former
from .mail_server import mail_root
from .report import Result
from .world import NETWORK, run

IMAGE, PAUSE = REPO / "build" / "image.tar", REPO / "build" / "pause.tar"
KIND = GoTool(
    # It brings its own node image, pinned by digest (kindest/node:v1.37.0).
    GoModule("kind", "sigs.k8s.io/kind", "v0.33.0", "h1:AjvDv3vOygb/VKLVQW87lfktIBzkxR8Ump9DjxC8+Lk="),
    ".",
    30,
)
_CNI = (Path("/usr/lib/cni"), Path("/opt/cni/bin"))
_PROGRAMS = {
    "containerd": "containerd",
    "ctr": "containerd",
    "runc": "runc",
    "nft": "nftables",
    "conntrack": "conntrack",
    "ip": "iproute2",
    "buildah": "buildah",
    "mmdebstrap": "mmdebstrap",
}

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Inside:
    """What the process inside the node's namespaces is told."""

    directory: str
    cgroup: str
    binaries: str
    cni_plugins: str
    helm: str
    images: tuple[str, ...]
    result: str
    former: str = ""
    """Where the release lies that is upgraded from; empty = none."""
    mail_root: str = ""
    """A packed file system with a mail server for the probe; empty = nothing is probed."""

    def write(self, path: Path) -> None:
        path.write_text(json.dumps(asdict(self)))

    @classmethod
    def read(cls, path: Path) -> Inside:
        values = json.loads(path.read_text())
        return cls(**values | {"images": tuple(values["images"])})


class ScenarioFailed(Exception):
    """The process inside the namespaces has told why, and ended with a status that is not 0."""


def backend_reasons() -> Mapping[str, choice.Reason]:
    """For `choice.choose`: why each backend cannot be used in an environment."""
    return {
        "kind": kind_reason,
        "node": lambda environ: choice.node_reason(
            with_sbin(environ), system=sys.platform, user=os.geteuid()
        ),
    }


def kind_reason(environ: Mapping[str, str]) -> str:
    """kind needs an engine; which of docker and podman answers first is the engine that kind itself takes."""
    if answering_engine(environ) is None:
        return "no container engine answers (`docker info` and `podman info` fail)"
    if os.geteuid() != 0 and shutil.which("sudo", path=environ.get("PATH")) is None:
        return "neither root nor sudo, and the pods need a route to the sandbox's AWS and DNS"
    return ""


def run_on_kind(environ: Mapping[str, str], say: Say, former: Former | None = None) -> Result:
    """The scenario on a kind cluster of its own name, which is deleted afterwards."""
    engine = answering_engine(environ)
    if engine is None:
        raise choice.NoBackend("the container engine that answered a moment ago does not any more")
    with ThreadPoolExecutor(1) as pool:
        image = pool.submit(build_image, environ, say, IMAGE)
        kind = build(KIND, Cache.of(environ, say), environ, say)
        helm = tool("helm", environ, say)
        go_build(environ, say).ensure(["kubectl"])
        say(image.result().summary())
    tools = Kind(kind, engine.program)
    images = [IMAGE, *([former.archive] if former is not None else [])]
    plane = KindWithImages(tools, go_build(environ, say).target / "kubectl", environ, images)
    # All of the sandbox's addresses become this machine's own; pods reach it by their default route.
    route = ["ip", "route", "add", "local", f"{NETWORK}.0/24", "dev", "lo"]
    root = [] if os.geteuid() == 0 else ["sudo", "-n"]
    subprocess.run([*root, *route], check=True, env=dict(environ))
    try:
        return run("kind", plane, helm, former)
    finally:
        subprocess.run(
            [*root, *("del" if word == "add" else word for word in route)], check=False, env=dict(environ)
        )


class KindWithImages(KindControlPlane):
    """A kind cluster whose nodes have the images, as no registry serves them yet."""

    def __init__(self, tools: Kind, kubectl: Path, environ: Mapping[str, str], archives: list[Path]) -> None:
        super().__init__(tools, kubectl, environ)
        self._archives = archives

    def start(self) -> None:
        super().start()
        load = [str(self._tools.kind), "load", "image-archive", "--name", self.name]
        try:
            for archive in self._archives:
                self._run([*load, str(archive)], 300.0)
        except BaseException:
            self.stop()
            raise


def run_on_node(environ: Mapping[str, str], say: Say, former: Former | None = None) -> Result:
    """The scenario on a node in namespaces of its own.

    Raises:
        RuntimeError, BuildError, ToolError, ImageError: what it needs cannot be had.
        ScenarioFailed: the scenario failed, and said so.
    """
    environ = with_sbin(environ)
    plugins = next((path for path in _CNI if (path / "bridge").exists()), _CNI[0])
    programs = _PROGRAMS | {str(plugins / "bridge"): "containernetworking-plugins"}
    need_programs(programs, "run a node without a container engine", environ, say)
    builds = go_build(environ, say)
    with ThreadPoolExecutor(1) as pool:
        # One waits for the network most of the time, the other for the processor.
        image = pool.submit(build_image, environ, say, IMAGE)
        builds.ensure(list(builds.packages))
        helm = tool("helm", environ, say)
        mail = mail_root(environ, say) if former is None else None
        say(image.result().summary())
    pause_image(environ, builds.target / "pause", PAUSE_IMAGE, PAUSE)
    # The world in there has no way out: a proxy would only be waited for.
    inner = {name: value for name, value in environ.items() if not name.lower().endswith("_proxy")}
    inner["PYTHONPATH"] = os.pathsep.join([str(REPO), str(REPO / "operator")])
    with Namespaces(inner) as namespaces:
        told = Inside(
            directory=str(namespaces.directory / "node"),
            cgroup=namespaces.cgroup,
            binaries=str(builds.target),
            cni_plugins=str(plugins),
            helm=str(helm),
            images=(str(PAUSE), str(IMAGE), *([str(former.archive)] if former is not None else [])),
            result=str(namespaces.directory / "result.json"),
            former=str(former.root) if former is not None else "",
            mail_root=str(mail) if mail is not None else "",
        )
        told.write(namespaces.directory / "inside.json")
        status = namespaces.run(
            [sys.executable, "-m", "sandbox.e2e.inside", str(namespaces.directory / "inside.json")]
        )
        if status:
            raise ScenarioFailed(f"the scenario ended with status {status}")
        return Result.read(Path(told.result))


def go_build(environ: Mapping[str, str], say: Say) -> GoBuild:
    """The builder of all that comes from the control plane's Go module."""
    packages = {**PACKAGES, **NODE_PACKAGES}
    return builder(environ, say, list(packages), packages=packages)
