"""The suite: which tasks MetaLR learns from. None shares data with the compared workloads."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import NamedTuple

from tune_metalr.metalr.meta_training.attention import recall
from tune_metalr.metalr.meta_training.images import digits, textures
from tune_metalr.metalr.meta_training.sequences import keywords
from tune_metalr.metalr.meta_training.task import Task
from tune_metalr.metalr.meta_training.variation import Variation, variations
from tune_metalr.metalr.meta_training.vectors import regression, teacher

TASKS_OF_A_FAMILY = 5


class TaskFamily(NamedTuple):
    """Tasks that resemble each other."""

    make: Callable[[Variation], Task]
    example_seconds: tuple[float, float]
    """About what a forward and a backward pass of an example takes on one slow core, of the
    smallest task and of the largest. Horizons follow from it, and nothing else."""


FAMILIES: Mapping[str, TaskFamily] = MappingProxyType(
    {
        "digits": TaskFamily(digits, (20e-6, 100e-6)),
        "textures": TaskFamily(textures, (60e-6, 300e-6)),
        "keywords": TaskFamily(keywords, (30e-6, 300e-6)),
        "recall": TaskFamily(recall, (30e-6, 200e-6)),
        "teacher": TaskFamily(teacher, (5e-6, 60e-6)),
        "regression": TaskFamily(regression, (5e-6, 60e-6)),
    }
)


def suite(tasks_of_a_family: int = TASKS_OF_A_FAMILY) -> tuple[Task, ...]:
    """Return the tasks of all families; the last of each family has a long horizon."""
    return tuple(
        family.make(variation)
        for name, family in FAMILIES.items()
        for variation in variations(name, tasks_of_a_family, example_seconds=family.example_seconds)
    )


TASKS = suite()
