"""Which of the grid's runs show what a run shows that has a given law: those of its warm-up."""

from collections import defaultdict
from collections.abc import Iterable

from tune_metalr.metalr.meta_training.grid import AXES, CONSTANT, Outcome
from tune_metalr.metalr.prior import Family, Prior


def runs_like(outcomes: Iterable[Outcome], family: Family, law: Prior) -> list[Outcome]:
    """Return a family's runs with the base's weight decay and, on each task, the nearest warm-up.

    Until the warm-up is over, the rate at a look is another share of the peak with each warm-up.
    The grid has not tried all of them on tasks of long horizons.
    """
    base_decay = AXES[family].weight_decays[0]
    by_task: dict[str, dict[float, list[Outcome]]] = defaultdict(lambda: defaultdict(list))
    for outcome in outcomes:
        cell = outcome.cell
        is_like = cell.weight_decay == base_decay and cell.warmup_fraction != CONSTANT
        if cell.family == family and is_like:
            by_task[cell.task][cell.warmup_fraction].append(outcome)
    found: list[Outcome] = []
    for tried in by_task.values():
        nearest = min(tried, key=lambda fraction: abs(fraction - law.warmup_fraction))
        found += tried[nearest]
    return found
