"""What a trial takes of a node."""

from pydantic import Field, field_validator

from tune_metalr.study.fields import Name, NotNegative, Positive, Strict

_RAYS_OWN = frozenset({"CPU", "GPU", "memory", "object_store_memory"})


class ResourcesChoice(Strict):
    """A trial's share of a node. How fast it runs depends on it; on a GPU, its numbers too."""

    cpus: Positive | None = None
    """`threads_per_trial`, if not given."""
    gpus: NotNegative = 0.0
    """Of one GPU, a part: trials of 0.25 share it four at a time."""
    custom: dict[Name, Positive] = Field(default_factory=dict)
    """Resources of the nodes' owner, by name."""

    @field_validator("gpus")
    @classmethod
    def _at_most_one(cls, gpus: float) -> float:
        if gpus > 1:
            raise ValueError("a trial trains on one GPU: expected at most 1")
        return gpus

    @field_validator("custom")
    @classmethod
    def _not_rays_own(cls, custom: dict[str, float]) -> dict[str, float]:
        if taken := _RAYS_OWN & set(custom):
            raise ValueError(f"'{min(taken)}' is Ray's own name: use 'cpus' and 'gpus'")
        return custom

    @property
    def device(self) -> str | None:
        """What a trial trains on, as its identity tells it."""
        return "cuda" if self.gpus else None

    def need(self, threads: int) -> dict[str, float]:
        """Return what a trial of some threads takes, by Ray's name of the resource."""
        own = {"CPU": self.cpus or threads, "GPU": self.gpus}
        return {name: amount for name, amount in (own | self.custom).items() if amount}
