"""From a study to a complete ledger; running again is how a run is resumed."""

import shlex
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from rich.console import Console

from tune_metalr.checkpoints import Checkpoints
from tune_metalr.dealer import Dealer, Job
from tune_metalr.driver import Driver, DriverOptions
from tune_metalr.errors import UserError
from tune_metalr.expansion import expand, expand_searches
from tune_metalr.fork_server import ForkServer
from tune_metalr.ledger import Ledger
from tune_metalr.lock import driver_lock
from tune_metalr.proposals import SAMPLERS, Sampler, make_sampler
from tune_metalr.proposals.imported import Kind, kind_of
from tune_metalr.provenance import code, provenance
from tune_metalr.ray_pool import set_environment
from tune_metalr.running_search import RunningSearch
from tune_metalr.search import Search
from tune_metalr.search_records import LedgerRecords
from tune_metalr.signals import Interruption
from tune_metalr.status import study_status
from tune_metalr.store import FolderStore, Store, below, folder_of, patient
from tune_metalr.study import Study
from tune_metalr.study_file import StudyFile, load_study
from tune_metalr.trial import Status, WantedTrial
from tune_metalr.work_order import WorkOrder
from tune_metalr.workloads.cache import make_ready
from tune_metalr.workloads.places import DataPlaces, cache_beside, data_places


class RunOptions(NamedTuple):
    """How a study is run; none of it changes its results."""

    results: str | Path
    """Parent of the study's own folder: a path or a URI."""
    command: list[str]
    """What the user is told to type to go on."""
    data_dir: Path | None = None
    cpus: int | None = None
    address: str | None = None
    max_hours: float | None = None
    checkpoint_seconds: float = 10.0
    reuse_actors: bool = True
    fork_server: ForkServer | None = None
    """One that was started early, for a private cluster; without it, the run starts its own."""
    interruption: Interruption | None = None
    """Asked now and then, where signals are caught."""


class RunEnd(NamedTuple):
    """How a run ended."""

    results: str
    """Where the study's results are."""
    exit_code: int
    """0 if nothing is left to run: every wanted trial is completed, diverged or pruned, or has
    failed in a search that went on in that knowledge."""


def run_study(path: Path, options: RunOptions, console: Console) -> RunEnd:
    """Run what the study still lacks.

    Raises:
        UserError: Something is wrong with the study, the data or the folder.
    """
    set_environment(is_private=options.address is None)  # loading may import a searcher, so Ray
    study_file = load_study(path)
    ledger = Ledger(below(options.results, study_file.study.name))
    ledger.create()
    ledger = Ledger(patient(ledger.store))
    with driver_lock(ledger.store) as check_lock:
        exit_code = _Run(study_file, ledger, options, console, check_lock).execute()
    return RunEnd(ledger.location, exit_code)


class Wanted(NamedTuple):
    """What a study asks for."""

    trials: list[WantedTrial]
    """Those that are known beforehand."""
    searches: list[Search]


def wanted_of(study: Study, places: DataPlaces) -> Wanted:
    """Prepare the study's data and return its trials and searches.

    Raises:
        UserError: Data cannot be read, or are fewer than a workload asks for.
    """
    ready = {}
    for choice in study.workloads:
        found = make_ready(choice.definition(), places)
        if (choice.train_examples or 0) > found.available_examples:
            raise UserError(
                f"workload '{choice.name}': train_examples is {choice.train_examples}, but only "
                f"{found.available_examples} examples are left for training"
            )
        ready[choice.name] = found
    return Wanted(expand(study, ready), expand_searches(study, ready))


def sampler_of(search: Search) -> Sampler:
    """Return the sampler of a search, at its beginning."""
    if search.sampler not in SAMPLERS and kind_of(search.sampler) is Kind.RAY:
        from tune_metalr.ray_pool.searchers import RaySearcherSampler

        sampler: Sampler = RaySearcherSampler(
            search.sampler, search.space, seed=search.sampler_seed
        )
        return sampler
    return make_sampler(search.sampler, search.space, seed=search.sampler_seed, grid=search.grid)


class _Run:
    """One run of a study whose folder is locked."""

    def __init__(
        self,
        study_file: StudyFile,
        ledger: Ledger,
        options: RunOptions,
        console: Console,
        check_lock: Callable[[], None],
    ) -> None:
        self._study_file = study_file
        self._ledger = ledger
        self._options = options
        self._console = console
        self._check_lock = check_lock

    def execute(self) -> int:
        """Run the trials that have no result; return the exit code."""
        study = self._study_file.study
        fallback = cache_beside(self._options.results)
        places = data_places(self._options.data_dir, fallback=fallback, folders=study.folders)
        wanted = wanted_of(study, places)
        recorded = self._tidy()
        searches = self._searches(wanted)
        self._write_study(wanted)
        thinking = ThreadPoolExecutor(max_workers=1, thread_name_prefix="searches")
        try:
            dealer = self._dealer(wanted, recorded, searches, thinking)
            if not dealer.is_over:
                # The dealer knows of searches' earlier trials only when they have been asked again.
                status = study_status(self._ledger)
                self._console.print(
                    f"{status.num_without_result} of {status.num_wanted} trials to run."
                )
                self._driver(places).run(dealer)
        finally:
            # After an interruption a sampler may think on for seconds, of which nothing is kept.
            thinking.shutdown(wait=False, cancel_futures=True)
        self._check_lock()
        self._ledger.compact()
        self._sweep()
        if dealer.is_over:
            # Searches delete what they kept; this is of those that the study no longer has.
            Checkpoints(self._ledger.kept).clear()
        return self._exit_code()

    def _tidy(self) -> dict[str, Status]:
        """Tidy what an earlier run left; return what has ended."""
        ledger = self._ledger
        for path, reason in ledger.tidy().items():
            self._console.print(f"Set aside as {path}: {reason}", soft_wrap=True, markup=False)
        self._sweep()
        return ledger.statuses()

    def _sweep(self) -> None:
        """Delete checkpoints of ended trials, of which a second attempt may have lived on."""
        checkpoints = Checkpoints(self._ledger.unfinished)
        recorded = self._ledger.statuses() if checkpoints.trial_ids() else {}
        checkpoints.sweep(
            finished={trial_id for trial_id, status in recorded.items() if status.is_result}
        )

    def _searches(self, wanted: Wanted) -> list[RunningSearch]:
        """Return the searches; one that was begun as another is refused while nothing is lost."""
        records = LedgerRecords(self._ledger)
        searches = [RunningSearch(search, sampler_of, records) for search in wanted.searches]
        for search in searches:
            search.check_unchanged()
        return searches

    def _write_study(self, wanted: Wanted) -> None:
        self._ledger.write_study(
            self._study_file.text,
            wanted.trials,
            self._options.command,
            analysis=self._study_file.study.analysis.model_dump(),
            searches=[search.to_json() for search in wanted.searches],
        )

    def _dealer(
        self,
        wanted: Wanted,
        recorded: dict[str, Status],
        searches: list[RunningSearch],
        thinking: ThreadPoolExecutor,
    ) -> Dealer:
        known: list[WantedTrial] = []
        order = [
            (search.workload, method)
            for search in wanted.searches
            for method in search.final_methods
        ]

        def found(finals: list[WantedTrial]) -> None:
            known.extend(finals)
            # Tables have the study's order, whichever search ends first.
            known.sort(key=lambda item: order.index((item.trial.workload, item.method)))
            self._ledger.write_wanted([*wanted.trials, *known])

        return Dealer(
            wanted.trials,
            recorded,
            searches,
            later=lambda job: _submit(thinking, job),
            found=found,
        )

    def _driver(self, places: DataPlaces) -> Driver:
        order = WorkOrder(
            results=_absolute(self._ledger.store),
            places=places,
            checkpoint_seconds=self._options.checkpoint_seconds,
            project_commit=provenance()["project_commit"],
            import_folder=Path.cwd(),
            purpose=self._study_file.study.purpose,
            code=code() if self._options.address else None,
        )
        options = DriverOptions(
            cpus=self._options.cpus,
            address=self._options.address,
            max_hours=self._options.max_hours,
            threads_per_trial=self._study_file.study.threads_per_trial,
            need=self._study_file.study.need,
            reuse_actors=self._options.reuse_actors,
            fork_server=self._options.fork_server,
            interruption=self._options.interruption,
            check_lock=self._check_lock,
        )
        return Driver(self._ledger, order, options, self._console)

    def _exit_code(self) -> int:
        """Compare the ledger, not what this run remembers, with what the study wants."""
        status = study_status(self._ledger)
        if not status.num_without_result:
            return 0
        self._console.print(
            f"{status.num_without_result} of {status.num_wanted} trials have no result. "
            f"To go on: {shlex.join(self._options.command)}",
            soft_wrap=True,
            markup=False,
        )
        return 1


def _absolute(store: Store) -> Store:
    """Return a store that is the same wherever a worker's current folder is, or none at all."""
    if (folder := folder_of(store)) is None:
        return store
    return FolderStore(folder.resolve(), anchor=folder.resolve())


def _submit(thinking: ThreadPoolExecutor, job: Job) -> None:
    with suppress(RuntimeError):  # the run is ending
        thinking.submit(job)
