"""The results of one study: whole files, in a folder or in object storage, for any reader to open.

study.yaml                 the study as run
wanted.parquet             what it wants: trial, role, the study's names
run.json                   the command that completes it; how its results are compared
trials/<trial_id>-*        one outcome, independent of why it was wanted
trials/segment-*           many outcomes, compacted by the driver
proposals/<search>.parquet what a sampler suggested and was told
unfinished/                checkpoints
kept/                      states from which other trials go on, while their search runs
set-aside/                 damaged and foreign files, moved out of the way by the driver
report/                    the report, which can be written anew at any time
replay*.csv                replayed searches, if any are to stand in the report
run-error.txt              traceback of the last run that an unknown error stopped
lock, lease.json           held by the driver of a folder, or of object storage
marker                     while a run on a cluster lasts: by it, nodes know that they see this
"""

import hashlib
import json
import os
import secrets
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

import pyarrow as pa

from tune_metalr.errors import UserError
from tune_metalr.rows import (
    IDENTITY,
    PROPOSAL_COLUMNS,
    WANTED_COLUMNS,
    DamagedFileError,
    best_rows,
    chosen,
    read_table,
    to_bytes,
    to_table,
)
from tune_metalr.storage import SCRATCH_PREFIX
from tune_metalr.store import Location, Store, open_store
from tune_metalr.trial import COLUMNS, Status, WantedTrial
from tune_metalr.trial_files import SUFFIX, TrialFiles, is_segment

_MAX_SEGMENTS = 8
_PROBE = f"{SCRATCH_PREFIX}probe"
"""Seen by no reader and by no other driver."""


class TrialRows(NamedTuple):
    """The ledger's trials, one row each, and the files that could not be read."""

    table: pa.Table
    damaged: dict[str, str]
    """File name -> what is wrong with it."""


class Ledger:
    """Reads and writes the results of one study."""

    def __init__(self, results: Store | Location) -> None:
        """Take a store, a path or a URI; nothing is read yet."""
        self.store = open_store(results) if isinstance(results, str | os.PathLike) else results
        self.unfinished = self.store.within("unfinished")
        self.kept = self.store.within("kept")
        self._trials = TrialFiles(self.store)
        self._proposals = self.store.within("proposals")

    @property
    def location(self) -> str:
        """Where the results are, as it is told to a user."""
        return self.store.location

    def create(self) -> None:
        """Make sure that everything can be written to.

        Raises:
            UserError: It cannot.
        """
        try:
            for part in (self._trials.store, self._proposals, self.unfinished):
                part.write(_PROBE, b"")
                part.delete(_PROBE)
        except OSError as error:
            raise UserError(
                f"cannot write to {self.location} ({error.strerror}); choose another --results"
            ) from error

    # Trials

    def record(self, row: Mapping[str, Any]) -> None:
        """Write one trial's outcome under a new name: no row is ever overwritten."""
        name = f"{row['trial_id']}-{secrets.token_hex(4)}.parquet"
        self._trials.store.write(name, to_bytes(to_table([row], COLUMNS)))

    def trials(self, names: Collection[str] | None = None) -> TrialRows:
        """Read every trial that was ever recorded here.

        Args:
            names: Columns to read; all, if not given. Curves are most of a ledger's size.

        Raises:
            UserError: A row was written by a later version.
        """
        needed = None if names is None else {*names, *IDENTITY}
        while True:
            try:
                return self._read_all(needed)
            except FileNotFoundError:
                continue  # compacted since it was listed: its rows are in a newer segment

    def statuses(self) -> dict[str, Status]:
        """Return the status of every recorded trial."""
        table = self.trials(IDENTITY).table
        pairs = zip(table["trial_id"].to_pylist(), table["status"].to_pylist(), strict=True)
        return {trial_id: Status(status) for trial_id, status in pairs}

    def single_rows(
        self, trial_ids: Collection[str], names: Collection[str]
    ) -> list[dict[str, Any]]:
        """Return the rows of those among some trials that have files of their own: quick."""
        found: dict[str, dict[str, Any]] = {}
        for trial_id in trial_ids:
            for name in self._trials.names(f"{trial_id}-"):
                with suppress(FileNotFoundError, DamagedFileError):
                    (row,) = self._trials.read(name, {*names, *IDENTITY}).to_pylist()
                    if trial_id not in found or Status(row["status"]).is_result:
                        found[trial_id] = row
        return list(found.values())

    def segments(self) -> frozenset[str]:
        """Return the names of the files of compacted rows: others mean that there are new rows."""
        return frozenset(filter(is_segment, self._trials.names()))

    def result_of(self, trial_id: str) -> Status | None:
        """Return a trial's status if a file of its own holds a result: a quick look."""
        for name in self._trials.names(f"{trial_id}-"):
            with suppress(FileNotFoundError, DamagedFileError):
                status = Status(self._trials.read(name, IDENTITY)["status"][0].as_py())
                if status.is_result:
                    return status
        return None

    # Upkeep: only for the driver, which holds the lock

    def tidy(self) -> dict[str, str]:
        """Set damaged files aside, drop scratch files, compact.

        Returns:
            What is wrong with each file that was set aside, by the place where it is now.
        """
        self.store.sweep()
        self._trials.store.sweep()
        self._proposals.sweep()
        moved = {}
        names = self._trials.names()
        for name, found in zip(names, self._trials.read_each(names), strict=True):
            if isinstance(found, DamagedFileError):
                with suppress(FileNotFoundError):  # gone since it was read
                    moved[self._trials.set_aside(name)] = str(found)
        self.compact()
        return moved

    def compact(self) -> None:
        """Put finished rows of single files into one segment; merge segments when many.

        The segment is in place before the files that it replaces are removed: a reader and a
        crash between the two find a row twice, never none.
        """
        names = self._trials.names()
        segments = [name for name in names if is_segment(name)]
        replaced = [name for name in names if not is_segment(name)]
        if len(segments) >= _MAX_SEGMENTS:
            replaced += segments
        pairs = list(zip(replaced, self._trials.read_each(replaced), strict=True))
        tables = {name: found for name, found in pairs if isinstance(found, pa.Table)}
        if len(tables) < 2:
            return
        data = to_bytes(best_rows(pa.concat_tables(tables.values())))
        segment = f"segment-{hashlib.sha256(data).hexdigest()[:16]}.parquet"
        self._trials.store.write(segment, data)
        self._trials.delete_each(tables.keys() - {segment})

    # What the study wants

    def write_study(
        self,
        text: str,
        wanted: Sequence[WantedTrial],
        command: Sequence[str],
        *,
        analysis: Mapping[str, Any] | None = None,
        searches: Sequence[Mapping[str, Any]] | None = None,
    ) -> None:
        """Record the study as run, its expansion, and the command that completes it.

        Args:
            text: Of the study's file.
            wanted: Its trials, but for those that searches will propose.
            command: What completes it.
            analysis: How its results are to be compared; JSON values.
            searches: What readers need to know of each search; JSON values.
        """
        self.store.write("study.yaml", text.encode())
        self.write_wanted(wanted)
        record: dict[str, Any] = {"command": list(command), "analysis": dict(analysis or {})}
        if searches is not None:
            record["searches"] = [dict(search) for search in searches]
        self.store.write("run.json", json.dumps(record).encode())

    def write_wanted(self, wanted: Iterable[WantedTrial]) -> None:
        """Record the study's trials, but for those that searches propose."""
        rows = [
            {
                "trial_id": item.trial.trial_id,
                "role": item.role,
                "workload": item.trial.workload,
                "method": item.method,
                "seed": item.trial.seed,
                "target_accuracy": item.target_accuracy,
            }
            for item in wanted
        ]
        self.store.write("wanted.parquet", to_bytes(to_table(rows, WANTED_COLUMNS)))

    def wanted(self) -> pa.Table:
        """Return the study's current expansion.

        Raises:
            UserError: The folder is no results folder, or its expansion is damaged.
        """
        try:
            return read_table(self.store.read("wanted.parquet"), "wanted.parquet", WANTED_COLUMNS)
        except (FileNotFoundError, NotADirectoryError) as error:
            raise UserError(
                f"{self.location} holds no results: give the folder of one study, "
                f"such as results/quickstart"
            ) from error
        except DamagedFileError as error:
            raise UserError(
                f"{self.location}: {error}; run the study again to rewrite it"
            ) from error

    def command(self) -> list[str]:
        """Return the command that completes the study."""
        command = self._run_record().get("command")
        if isinstance(command, list):
            return [str(word) for word in command]
        parent, _, _ = self.location.rpartition("/")
        study = f"{self.location}/study.yaml"
        return ["tune-metalr", "run", study, "--results", parent or "."]

    def study_text(self) -> str:
        """Return the study's file as run; nothing if it cannot be read."""
        try:
            return self.store.read("study.yaml").decode()
        except (OSError, UnicodeDecodeError):
            return ""

    def analysis(self) -> dict[str, Any]:
        """Return how the study's results are to be compared; nothing if it is not recorded."""
        analysis = self._run_record().get("analysis")
        return analysis if isinstance(analysis, dict) else {}

    def searches(self) -> list[dict[str, Any]] | None:
        """Return what is recorded of the study's searches; `None` if nothing is, not even none."""
        searches = self._run_record().get("searches")
        return searches if isinstance(searches, list) else None

    def _run_record(self) -> dict[str, Any]:
        try:
            record = json.loads(self.store.read("run.json"))
        except (OSError, ValueError):
            return {}
        return record if isinstance(record, dict) else {}

    # Proposals

    def record_proposals(self, search_id: str, rows: Iterable[Mapping[str, Any]]) -> None:
        """Write all proposals of a search so far, replacing what was there."""
        data = to_bytes(to_table(rows, PROPOSAL_COLUMNS))
        self._proposals.write(f"{search_id}.parquet", data)

    def proposals(self) -> pa.Table:
        """Return the proposals of every search, in the order of their indices.

        Raises:
            UserError: A file is damaged.
        """
        tables = [to_table([], PROPOSAL_COLUMNS)]
        for name in self._proposals.names():
            if not name.endswith(SUFFIX):
                continue
            try:
                tables.append(read_table(self._proposals.read(name), name, PROPOSAL_COLUMNS))
            except DamagedFileError as error:
                place = f"{self._proposals.location}/{name}"
                raise UserError(f"{place}: {error}; delete it and run the study again") from error
        return pa.concat_tables(tables).sort_by(
            [("search_id", "ascending"), ("index", "ascending")]
        )

    def current_proposals(self) -> pa.Table:
        """Return the proposals of the study's searches, in its order, as many as it wants of each.

        Of a ledger that does not tell which searches those are, all, by their identity.

        Raises:
            UserError: A file is damaged.
        """
        table = self.proposals()
        if (current := self.searches()) is None:
            return table
        lengths = {search["search_id"]: search["trials"] for search in current}
        places = {search_id: place for place, search_id in enumerate(lengths)}
        rows = zip(table["search_id"].to_pylist(), table["index"].to_pylist(), strict=True)
        wanted = [
            (places[search_id], index, row)
            for row, (search_id, index) in enumerate(rows)
            if index < lengths.get(search_id, 0)
        ]
        return table.take(pa.array([row for _, _, row in sorted(wanted)], pa.int64()))

    def _read_all(self, columns: Collection[str] | None) -> TrialRows:
        tables, damaged = [to_table([], chosen(columns))], {}
        names = self._trials.names()
        for name, found in zip(names, self._trials.read_each(names, columns), strict=True):
            if isinstance(found, FileNotFoundError):
                raise found
            if isinstance(found, DamagedFileError):
                damaged[name] = str(found)
            else:
                tables.append(found)
        return TrialRows(best_rows(pa.concat_tables(tables)), damaged)
