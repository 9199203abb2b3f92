"""A search: one sampler on one space and workload. What it is, apart from how it is run."""

import dataclasses
import hashlib
import itertools
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from tune_metalr.evidence import SearchIdentity
from tune_metalr.lineage import first_round, whole_run
from tune_metalr.proposals import POPULATION
from tune_metalr.seeds import derive_seed
from tune_metalr.space import Point, Space, space_to_json
from tune_metalr.trial import Role, Trial, WantedTrial, canonical_json

_HASH_LENGTH = 6
_MOST_REPRESENTATIVES = 64


@dataclasses.dataclass(frozen=True, kw_only=True)
class Search:
    """A sequence of proposals by one sampler, for one workload and one space."""

    name: str
    """The study's."""
    workload: str
    sampler: str
    pruner: str | None
    repeat: int
    space: Space
    grid: Mapping[str, int]
    """Points on each axis, for the grid sampler."""
    trials: int
    """May grow: a longer search begins with the shorter one."""
    batch: int
    finals: int
    """Best configurations that are run again."""
    seeds: tuple[int, ...]
    """Of the winners' runs."""
    epochs: int
    """Of a whole trial."""
    chance: float
    """What the sampler is told of a trial that diverged: known before any has."""
    target_accuracy: float | None
    make_trial: Callable[[Point], Trial]
    """Returns the trial of a point; its seed is replaced."""

    @property
    def search_id(self) -> str:
        """Names the search in its ledger, and its random streams."""
        names = (self.name, self.workload, self.sampler, self.pruner, self.repeat)
        parts = (self.name, self.workload, self.sampler.rpartition(".")[2], self.pruner)
        readable = "-".join(re.sub(r"[^A-Za-z0-9_]+", "_", part) for part in parts if part)
        digest = hashlib.sha256(canonical_json(names).encode()).hexdigest()[:_HASH_LENGTH]
        return f"{readable}-{self.repeat}-{digest}"

    @property
    def identity(self) -> SearchIdentity:
        """What its repeats have in common."""
        return SearchIdentity(self.name, self.workload, self.sampler, self.pruner)

    @property
    def label(self) -> str:
        """What the study calls it: its name, with what proposes and what stops."""
        return self.identity.label

    @property
    def sampler_seed(self) -> int:
        """Of all random numbers of the sampler."""
        return derive_seed("sampler", self.search_id)

    @property
    def is_population(self) -> bool:
        """Whether its trials are rounds, each going on from one of the batch before."""
        return self.sampler == POPULATION

    @property
    def trial_epochs(self) -> int:
        """Epochs that one of its trials trains: of a population, a generation's share."""
        return self.epochs * self.batch // self.trials if self.is_population else self.epochs

    def proposed(
        self, point: Point, index: int, minimum_accuracies: tuple[float | None, ...] | None
    ) -> Trial:
        """Return the trial of a proposal.

        Its seed is drawn by search and index, so that trials of a random search are independent.
        Of a population, it is a member of the first generation.
        """
        if self.is_population:
            at_its_axes = self.make_trial({name: point[name] for name in self.space})
            trial = first_round(at_its_axes, self.trial_epochs)
        else:
            trial = self.make_trial(point)
        return dataclasses.replace(
            trial,
            seed=derive_seed("search", self.search_id, index),
            minimum_accuracies=minimum_accuracies,
        )

    def wanted(self, trial: Trial) -> WantedTrial:
        """Return a proposed trial with what the study calls it."""
        return WantedTrial(trial, Role.SEARCH, self.label, self.target_accuracy)

    def final(self, winner: Trial, rank: int, seed: int) -> WantedTrial:
        """Return the run of a winner on one of the seeds; `rank` counts from 1.

        It is a whole run: nothing stops it, and it inherits nothing.
        """
        trial = dataclasses.replace(winner, seed=seed, minimum_accuracies=None)
        trial = whole_run(trial, self.epochs)
        return WantedTrial(trial, Role.FINAL, self.final_method(rank), self.target_accuracy)

    def final_method(self, rank: int) -> str:
        """Return what the study calls a winner."""
        return f"{self.label} #{self.repeat}.{rank}"

    @property
    def final_methods(self) -> list[str]:
        """Return what the study calls its winners, the best first."""
        return [self.final_method(rank + 1) for rank in range(self.finals)]

    def representatives(self) -> list[Point]:
        """Return points that take as long as the others: the middle, for each set of choices."""
        axes = self.space.items()
        choices = itertools.product(*(axis.choices or (axis.at(0.5),) for _, axis in axes))
        points = (dict(zip(self.space, chosen, strict=True)) for chosen in choices)
        return list(itertools.islice(points, _MOST_REPRESENTATIVES))

    def definition(self) -> dict[str, Any]:
        """Return what decides its proposals and their trials, but for how many they are."""
        trial = self.make_trial({name: axis.at(0.5) for name, axis in self.space.items()})
        kept = {
            field.name: getattr(trial, field.name)
            for field in dataclasses.fields(trial)
            if field.name not in ("seed", "minimum_accuracies", "inherited_epochs")
        }
        kept["method_revision"] = sorted(
            {self.make_trial(point).method_revision for point in self._one_choice_each()}
        )
        if self.is_population:  # of which none is the longer form of another
            kept["round_epochs"] = self.trial_epochs
        return kept | {
            "space": space_to_json(self.space),
            "grid": dict(self.grid) if self.sampler == "grid" else {},
            "batch": self.batch,
        }

    def _one_choice_each(self) -> Iterator[Point]:
        """Yield points that make every choice of every axis once."""
        middle = {name: axis.at(0.5) for name, axis in self.space.items()}
        yield middle
        for name, axis in self.space.items():
            yield from (middle | {name: choice} for choice in axis.choices)

    def to_json(self) -> dict[str, Any]:
        """Return what readers of the ledger need to know of the search."""
        return {
            "search_id": self.search_id,
            "search": self.name,
            "label": self.label,
            "workload": self.workload,
            "sampler": self.sampler,
            "pruner": self.pruner,
            "repeat": self.repeat,
            "trials": self.trials,
            "batch": self.batch,
            "final_methods": self.final_methods,
            "seeds": len(self.seeds),
            "space": space_to_json(self.space),
        }
