"""What the process tests did and measured."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

FILE = Path(__file__).resolve().parents[3] / "build" / "process.json"


@dataclass
class Failover:
    """From the signal to the Lease in another replica's name, seconds."""

    after: str
    seconds: float


@dataclass
class Figures:
    """``seconds``: of chaos, as asked for."""

    seconds: float
    seed: int = 0
    kills: int = 0
    stops: int = 0
    terminations: int = 0
    etcd_restarts: int = 0
    api_restarts: int = 0
    dns_silences: int = 0
    edits: int = 0
    exits: int = 0
    """Replicas that ended by themselves and were started again."""
    writes: int = 0
    """Calls that changed something in AWS."""
    refused: int = 0
    """Change batches that AWS refused because the world was not as the caller thought."""
    redundant: int = 0
    """PTRs that were set to what they were, or reset when there was none."""
    failovers: list[Failover] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)

    def save(self) -> None:
        """Write ``build/process.json``; ``failover_s`` lists the seconds by what went before."""
        shown = asdict(self)
        failovers = shown.pop("failovers")
        shown["failover_s"] = {
            after: sorted(round(f["seconds"], 2) for f in failovers if f["after"] == after)
            for after in sorted({f["after"] for f in failovers})
        }
        FILE.parent.mkdir(exist_ok=True)
        FILE.write_text(json.dumps(shown, indent=1) + "\n")
        print(f"\n{FILE.name}: {json.dumps(shown)}")
