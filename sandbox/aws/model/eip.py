"""An Elastic IP address and the life cycle of its PTR record."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True)
class PtrUpdate:
    """One change of a PTR on its way. `value` None = reset. Times in seconds since the epoch."""

    value: str | None
    settles: float
    failure: tuple[str, str] | None = None
    """Status and Reason it ends with instead of taking effect."""


@dataclass(slots=True)
class Eip:
    """One address. Names are fully qualified with the final dot, as AWS reports them."""

    allocation_id: str
    public_ip: str
    account: str
    region: str
    tags: dict[str, str] = field(default_factory=dict)
    association_id: str = ""
    network_interface: str = ""
    private_ip: str = ""
    instance: str = ""
    nat_gateway: str = ""
    service_managed: str = ""
    """`rnat`, `alb`, `nlb` or `rds`: the service that allocated the address, and releases it."""
    ptr: str | None = None
    update: PtrUpdate | None = None
    failed: tuple[str, str, str] | None = None
    """Value, Status and Reason of the last update, if it failed."""
    locked_until: float = float("-inf")
    """Until when ReleaseAddress still sees the PTR that was reset."""

    def settle(self, now: float, release_lock: float) -> None:
        """Let an update take effect whose time has come."""
        update = self.update
        if update is None or now < update.settles:
            return
        self.update = None
        if update.failure:
            self.failed = (update.value or "", *update.failure)
            return
        if update.value is None and self.ptr is not None:
            self.locked_until = update.settles + release_lock
        self.ptr = update.value

    def attribute(self) -> dict[str, object] | None:
        """As botocore's AddressAttribute; None when there is nothing to show (never set, or reset)."""
        out: dict[str, object] = {"PublicIp": self.public_ip, "AllocationId": self.allocation_id}
        if self.ptr is not None:
            out["PtrRecord"] = self.ptr
        if self.update is not None:
            update: dict[str, str] = {"Status": "PENDING"}
            if self.update.value is not None:
                update["Value"] = self.update.value
            out["PtrRecordUpdate"] = update
        elif self.failed is not None:
            value, status, reason = self.failed
            out["PtrRecordUpdate"] = {"Value": value, "Status": status, "Reason": reason}
        return out if len(out) > 2 else None

    def detach(self) -> None:
        self.association_id = self.network_interface = self.private_ip = ""
        self.instance = self.nat_gateway = ""


def fqdn(name: str) -> str:
    """Lower case, with the final dot."""
    text = name.lower()
    return text if text.endswith(".") else text + "."
