"""What every worker of a run is told, once."""

from pathlib import Path
from typing import Any, NamedTuple

from tune_metalr.provenance import Code
from tune_metalr.store import Store
from tune_metalr.trial import Purpose
from tune_metalr.workloads.places import DataPlaces


class WorkOrder(NamedTuple):
    """Where outcomes and data belong, the same for all trials of a run."""

    results: Store
    places: DataPlaces
    checkpoint_seconds: float
    """A checkpoint is written at the first epoch's end after this long."""
    project_commit: str | None
    """Known to the driver alone where workers run an installed copy."""
    import_folder: Path
    """Where import paths are looked for, beside all that is installed."""
    purpose: Purpose = Purpose.EVALUATION
    """Of the study that is run."""
    code: Code | None = None
    """The driver's, which a node must share; `None` where there is one node only."""

    def columns(self) -> dict[str, Any]:
        """Return what the ledger records of the run, beside what a process knows of itself."""
        return {"purpose": self.purpose}
