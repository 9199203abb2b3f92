"""What every worker of a run is told, once."""

from pathlib import Path
from typing import NamedTuple

from tune_metalr.workloads.places import DataPlaces


class WorkOrder(NamedTuple):
    """Where outcomes and data belong, the same for all trials of a run."""

    results: Path
    places: DataPlaces
    checkpoint_seconds: float
    """A checkpoint is written at the first epoch's end after this long."""
    project_commit: str | None
    """Known to the driver alone where workers run an installed copy."""
    import_folder: Path
    """Where import paths are looked for, beside all that is installed."""
