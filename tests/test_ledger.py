"""The ledger: nothing lost, nothing doubled, nothing damaged taken for a result."""

import pyarrow.parquet as pq
import pytest

from tune_metalr.errors import UserError
from tune_metalr.ledger import Ledger
from tune_metalr.rows import IDENTITY, to_bytes, to_table
from tune_metalr.storage import SCRATCH_PREFIX, write_whole
from tune_metalr.store import FolderStore
from tune_metalr.trial import COLUMNS, Role, Status, Trial, WantedTrial, identity_columns

EXAMPLES = {"string": "text of {}", "int64": 1000, "float64": 0.5, "list<float64>": [0.25]}


def trial(seed=0):
    return Trial(
        workload="digits-cnn", workload_settings={"model": "cnn"}, data_version="v",
        optimizer="sgd", schedule="constant", controller="fixed", hyperparameters={"lr": 0.1},
        method_revision="1-1-1", seed=seed, epochs=3, batch_size=64, train_examples=100,
        precision="float32", threads=1,
    )  # fmt: skip


def full_row(seed=0, **changes):
    """Return a row with another value in every column."""
    row = {}
    for number, column in enumerate(COLUMNS):
        example = EXAMPLES[column.dtype]
        if isinstance(example, str):
            row[column.name] = example.format(column.name)
        elif isinstance(example, list):
            row[column.name] = [value + number for value in example] * 3
        else:
            row[column.name] = example + number
    return row | identity_columns(trial(seed), "sgd") | {"status": Status.COMPLETED} | changes


@pytest.fixture
def ledger(tmp_path):
    ledger = Ledger(tmp_path / "results" / "study")
    ledger.create()
    return ledger


def files(ledger):
    return sorted(path.name for path in (ledger.store.root / "trials").iterdir())


def test_every_column_comes_back_as_it_was_written(ledger):
    row = full_row()
    ledger.record(row)
    ledger.record(full_row(seed=1))
    expected = sorted([row, full_row(seed=1)], key=lambda each: each["trial_id"])
    for _ in range(2):
        table = ledger.trials().table
        assert table.column_names == [column.name for column in COLUMNS]
        assert sorted(table.to_pylist(), key=lambda each: each["trial_id"]) == expected
        ledger.compact()
    assert len(files(ledger)) == 1


def test_what_does_not_exist_is_null(ledger):
    ledger.record(identity_columns(trial(), "sgd") | {"status": Status.FAILED, "error": "broke"})
    row = ledger.trials().table.to_pylist()[0]
    assert row["error"] == "broke"
    assert row["test_accuracy"] is row["validation_loss_nats"] is row["learning_rates"] is None


def test_a_column_that_is_not_declared_is_refused(ledger):
    with pytest.raises(ValueError, match="undeclared columns: acuracy"):
        ledger.record(full_row(acuracy=1.0))


def test_units_travel_with_the_file(ledger):
    ledger.record(full_row())
    field = pq.read_schema(next((ledger.store.root / "trials").iterdir())).field(
        "validation_loss_nats"
    )
    assert field.metadata[b"unit"] == b"nats/example"


def test_a_result_replaces_a_failure_and_a_failure_never_a_result(ledger):
    ledger.record(full_row(status=Status.FAILED, finished_utc="2026-01-02"))
    ledger.compact()
    ledger.record(full_row(status=Status.COMPLETED, finished_utc="2026-01-01"))
    ledger.record(full_row(seed=1))
    ledger.compact()
    ledger.record(full_row(status=Status.FAILED, finished_utc="2026-01-03"))
    assert ledger.statuses() == {
        trial(0).trial_id: Status.COMPLETED,
        trial(1).trial_id: Status.COMPLETED,
    }


def test_a_crash_between_segment_and_removal_doubles_nothing(ledger):
    for seed in range(4):
        ledger.record(full_row(seed=seed))
    singles = {path: path.read_bytes() for path in (ledger.store.root / "trials").iterdir()}
    ledger.compact()
    for path, data in singles.items():
        path.write_bytes(data)
    assert ledger.trials().table.num_rows == 4


def test_a_row_that_comes_while_rows_are_compacted_is_kept(ledger, monkeypatch):
    ledger.record(full_row(status=Status.FAILED))
    ledger.record(full_row(seed=1))
    real = FolderStore.write

    def write_and_finish(store, name, data, **options):
        real(store, name, data, **options)
        monkeypatch.setattr(FolderStore, "write", real)
        ledger.record(full_row(status=Status.COMPLETED))

    monkeypatch.setattr(FolderStore, "write", write_and_finish)
    ledger.compact()
    assert set(ledger.statuses().values()) == {Status.COMPLETED}


def test_a_reader_sees_all_rows_while_they_are_compacted(ledger, monkeypatch):
    for seed in range(5):
        ledger.record(full_row(seed=seed))
    real = FolderStore.read

    def compact_first(store, name):
        monkeypatch.setattr(FolderStore, "read", real)
        ledger.compact()
        return real(store, name)

    monkeypatch.setattr(FolderStore, "read", compact_first)
    assert ledger.trials().table.num_rows == 5


def test_a_file_that_cannot_be_read_now_is_not_damaged(ledger, monkeypatch):
    ledger.record(full_row())

    def too_many(*_, **__):
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(FolderStore, "read", too_many)
    with pytest.raises(UserError, match="Too many open files"):
        ledger.tidy()
    assert len(files(ledger)) == 1


def test_many_segments_are_merged(ledger):
    for block in range(10):
        for seed in range(2):
            ledger.record(full_row(seed=2 * block + seed))
        ledger.compact()
    assert len(files(ledger)) < 10
    assert ledger.trials().table.num_rows == 20


DAMAGE = {
    "torn": lambda path: path.write_bytes(path.read_bytes()[:-40]),
    "empty": lambda path: path.write_bytes(b""),
    "renamed": lambda path: path.rename(path.with_name("0123456789abcdef0123.parquet")),
    "foreign": lambda path: path.write_bytes(to_bytes(to_table([], COLUMNS).select(["seed"]))),
    "text": lambda path: path.rename(path.with_suffix(".txt")),
    "changed": lambda path: write_whole(
        path, to_bytes(to_table([full_row(definition="{}")], COLUMNS))
    ),
    "no status": lambda path: write_whole(
        path, to_bytes(to_table([full_row(status="done")], COLUMNS))
    ),
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_file_is_named_set_aside_and_its_trial_is_missing(ledger, damage):
    ledger.record(full_row(seed=0))
    ledger.record(full_row(seed=1))
    (path,) = (ledger.store.root / "trials").glob(f"{trial(0).trial_id}-*")
    damage(path)
    damaged = ledger.trials().damaged
    assert len(damaged) == 1
    assert ledger.statuses() == {trial(1).trial_id: Status.COMPLETED}
    assert list(ledger.tidy().values()) == list(damaged.values())
    assert [path.name for path in (ledger.store.root / "set-aside").iterdir()] == list(damaged)
    assert ledger.trials().damaged == {}
    assert ledger.statuses() == {trial(1).trial_id: Status.COMPLETED}


def test_files_of_one_name_are_both_kept_when_set_aside(ledger):
    for text in ("one", "two"):
        (ledger.store.root / "trials" / "x.txt").write_text(text)
        ledger.tidy()
    kept = {path.read_text() for path in (ledger.store.root / "set-aside").iterdir()}
    assert kept == {"one", "two"}


def test_a_few_columns_can_be_read_alone(ledger):
    ledger.record(full_row())
    table = ledger.trials(["error"]).table
    assert set(table.column_names) == {*IDENTITY, "error"}


def test_a_worker_sees_whether_its_trial_has_a_result(ledger):
    assert ledger.result_of(trial().trial_id) is None
    ledger.record(full_row(status=Status.FAILED))
    assert ledger.result_of(trial().trial_id) is None
    ledger.record(full_row(status=Status.DIVERGED))
    assert ledger.result_of(trial().trial_id) is Status.DIVERGED


def test_what_a_killed_writer_left_is_no_row(ledger):
    (ledger.store.root / "trials" / ".writing-1234-x.parquet").write_bytes(b"half")
    assert ledger.trials() == (to_table([], COLUMNS), {})
    assert ledger.tidy() == {}
    assert files(ledger) == []


def test_a_row_of_an_older_version_reads_with_nulls(ledger):
    row = full_row()
    lacking = {"lost_seconds", "purpose"}
    older = [column for column in COLUMNS if column.name not in lacking]
    row = {name: value for name, value in row.items() if name not in lacking}
    path = ledger.store.root / "trials" / f"{row['trial_id']}.parquet"
    write_whole(path, to_bytes(to_table([row], older)))
    assert ledger.trials().table.to_pylist() == [row | dict.fromkeys(lacking)]


def test_a_row_of_a_later_version_is_refused_in_one_line(ledger):
    ledger.record(full_row(schema_version=99))
    with pytest.raises(UserError, match="later version"):
        ledger.trials()


def test_the_study_and_what_it_wants_are_kept(ledger):
    item = WantedTrial(trial(), Role.BASELINE, "sgd", 0.9)
    ledger.write_study("name: study\n", [item], ["tune-metalr", "run", "x"])
    assert ledger.wanted().to_pylist() == [
        {
            "trial_id": trial().trial_id,
            "role": "baseline",
            "workload": "digits-cnn",
            "method": "sgd",
            "seed": 0,
            "target_accuracy": 0.9,
        }
    ]
    assert ledger.command() == ["tune-metalr", "run", "x"]
    assert (ledger.store.root / "study.yaml").read_text() == "name: study\n"


def test_winners_are_added_to_what_is_wanted_and_the_rest_of_the_record_stays(ledger) -> None:
    first = WantedTrial(trial(0), Role.BASELINE, "sgd", 0.9)
    winner = WantedTrial(trial(1), Role.FINAL, "wide random #0.1", None)
    ledger.write_study("name: study\n", [first], ["tune-metalr"], searches=[{"search_id": "s"}])
    ledger.write_wanted([first, winner])
    roles = [(row["role"], row["method"], row["seed"]) for row in ledger.wanted().to_pylist()]
    assert roles == [("baseline", "sgd", 0), ("final", "wide random #0.1", 1)]
    assert ledger.searches() == [{"search_id": "s"}]
    assert ledger.command() == ["tune-metalr"]


def test_no_searches_are_not_the_same_as_none_recorded(ledger) -> None:
    assert ledger.searches() is None
    ledger.write_study("name: study\n", [], [])
    assert ledger.searches() is None
    ledger.write_study("name: study\n", [], [], searches=[])
    assert ledger.searches() == []
    (ledger.store.root / "run.json").write_text("torn {")
    assert ledger.searches() is None


def test_rows_of_some_trials_are_read_from_files_of_their_own(ledger) -> None:
    ledger.record(full_row(0))
    ledger.record(full_row(1))
    before = ledger.segments()
    ledger.compact()
    assert ledger.segments() - before
    ledger.record(full_row(2, status=Status.FAILED, error="first"))
    ledger.record(full_row(2, status=Status.COMPLETED, error="second"))
    ledger.record(full_row(2, status=Status.FAILED, error="third"))
    (row,) = ledger.single_rows([trial(seed).trial_id for seed in (0, 2, 3)], ["error"])
    assert row["error"] == "second"
    assert set(row) == {*IDENTITY, "error"}
    assert ledger.single_rows([], ["error"]) == []


def test_a_damaged_file_is_no_row_of_its_trial(ledger) -> None:
    ledger.record(full_row(0))
    (path,) = (ledger.store.root / "trials").iterdir()
    path.write_bytes(path.read_bytes()[:-40])
    assert ledger.single_rows([trial(0).trial_id], []) == []


def test_proposals_of_a_search_replace_those_before(ledger) -> None:
    for told in (None, 0.5):
        ledger.record_proposals("s", [{"search_id": "s", "index": 0, "told_value": told}])
    assert ledger.proposals()["told_value"].to_pylist() == [0.5]


def test_damaged_proposals_are_named_with_what_to_do(ledger) -> None:
    ledger.record_proposals("s", [{"search_id": "s", "index": 0}])
    path = ledger.store.root / "proposals" / "s.parquet"
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(UserError, match=r"s.parquet: .*delete it and run the study again"):
        ledger.proposals()


def test_proposals_come_back_in_the_order_of_asking(ledger):
    rows = [
        {"search_id": "s", "index": index, "trial_id": f"t{index}", "told_value": index / 10}
        for index in (2, 0, 1)
    ]
    ledger.record_proposals("s", rows)
    ledger.record_proposals("r", [{"search_id": "r", "index": 0}])
    table = ledger.proposals()
    assert table["search_id"].to_pylist() == ["r", "s", "s", "s"]
    assert table["trial_id"].to_pylist() == [None, "t0", "t1", "t2"]


def test_a_folder_that_is_no_ledger_is_named(tmp_path):
    with pytest.raises(UserError, match="holds no results"):
        Ledger(tmp_path).wanted()


def test_a_folder_that_cannot_be_written_to_is_named(tmp_path):
    (tmp_path / "results").write_text("a file")
    with pytest.raises(UserError, match="cannot write to"):
        Ledger(tmp_path / "results" / "study").create()


def test_what_a_killed_writer_left_is_no_proposal(ledger) -> None:
    row = {"search_id": "s", "search": "s", "workload": "w", "sampler": "random", "repeat": 0}
    ledger.record_proposals("s", [row | {"index": 0, "parameters": "{}", "trial_id": "t"}])
    left = ledger.store.root / "proposals" / f"{SCRATCH_PREFIX}1234-s.parquet"
    left.write_bytes(b"half")
    assert ledger.proposals().num_rows == 1
    ledger.tidy()
    assert not left.exists()


def test_nothing_is_seen_of_a_second_run_that_makes_sure_it_may_write(ledger, monkeypatch):
    """It does so before it asks for the lock."""
    seen = []
    real = FolderStore.delete

    def look_first(store, name):
        seen.append((ledger.trials().damaged, ledger.tidy(), ledger.proposals().num_rows))
        real(store, name)

    monkeypatch.setattr(FolderStore, "delete", look_first)
    Ledger(ledger.location).create()
    assert seen == [({}, {}, 0)] * 3


def test_a_damaged_file_that_is_gone_is_not_set_aside(ledger, monkeypatch):
    (ledger.store.root / "trials" / "notes.txt").write_text("mine")
    real = FolderStore.read

    def gone_before(store, name):
        if store.root.name == "trials":
            raise FileNotFoundError(name)
        return real(store, name)

    monkeypatch.setattr(FolderStore, "read", gone_before)
    assert ledger.tidy() == {}


def test_what_killed_writers_left_is_removed_everywhere(ledger):
    for folder in (".", "trials", "proposals"):
        (ledger.store.root / folder / ".writing-ab-run.json").write_bytes(b"half")
    ledger.tidy()
    assert not list(ledger.store.root.rglob(".writing-*"))
