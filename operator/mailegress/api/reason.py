"""What a reason is; ``reasons.py`` lists them all."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Reason:
    """One reason. `condition_types` are the conditions that it explains itself; Ready, Reconciling and Stalled copy
    the reason of the first condition that is not True.
    """

    name: str
    when: str
    remedy: str
    condition_types: tuple[str, ...]
    stalls_at_once: bool = False
    """Only a person can resolve it, so Stalled is set at once. All other reasons set Stalled after a period without
    progress.
    """

    def __str__(self) -> str:
        return self.name
