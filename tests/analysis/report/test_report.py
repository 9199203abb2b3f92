"""A report of each kind of study that there may be, whole or not."""

import csv
import re
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest

from analysis.load import load_searches, load_trials
from analysis.report import sections
from analysis.report.report import write_report
from analysis.summary import summarize
from tests.ledgers import MadeUpLedger
from tune_metalr.errors import UserError
from tune_metalr.trial import Status

SECTIONS = [*(each.__name__.rpartition(".")[2] for each in sections.IN_ORDER), "reproduce"]
HOSTILE = "<script>alert(1)</script>"


def noisy(mean, count=5, seed=0):
    return [float(value) for value in np.random.default_rng(seed).normal(mean, 0.01, count)]


def path(rate, steps=40):
    return [rate * (1 - step / steps) for step in range(steps)]


@pytest.fixture
def ledger(tmp_path):
    return MadeUpLedger(tmp_path / "study", reference="adam")


def page_of(ledger):
    return write_report([ledger.finish()]).read_text()


def table(folder, name):
    with (folder / "report" / "tables" / f"{name}.csv").open() as file:
        return list(csv.DictReader(file))


@pytest.fixture
def full(ledger):
    """A study with something in every section."""
    for workload in ("digits-cnn", "mnist-cnn"):
        ledger.add_method("adam", noisy(0.5), workload=workload, learning_rates=path(1e-3))
        ledger.add_method(
            HOSTILE, [*noisy(0.6, 4), Status.DIVERGED], workload=workload, learning_rates=path(0.1)
        )
        ledger.add_search("adamw", noisy(0.5, 16, 1), workload=workload)
        for repeat in (1, 2):
            ledger.add_search("adamw", noisy(0.5, 8, repeat), sampler="tpe", repeat=repeat,
                              workload=workload)  # fmt: skip
    return ledger


def test_every_section_is_there_in_its_order(full):
    page = page_of(full)
    assert re.findall(r'<section id="(\w+)">', page) == SECTIONS
    assert "No search has a result" not in page
    assert page.index("0 trials:") < page.index('id="methods"')


def test_the_page_needs_nothing_else(full):
    page = page_of(full)
    addresses = set(re.findall(r'(?:src|href)="([^"#][^"]*)"', page))
    assert addresses == {"data:,"}
    assert "@import" not in page
    assert "url(" not in re.sub(r"url\(#[^)]*\)", "", page.partition("<script>")[0])
    assert len(page) < 10e6


def test_a_name_is_text_everywhere(full):
    page = page_of(full)
    assert HOSTILE not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "\\u003cscript\\u003e" in page
    markdown = (full.root / "report" / "report.md").read_text()
    assert HOSTILE not in markdown
    assert "\\<script\\>alert(1)" in markdown


def test_every_table_is_a_file_and_its_numbers_are_those_of_analysis(full):
    page_of(full)
    rows = table(full.root, "methods")
    summaries = summarize(load_trials(full.root))
    assert len(rows) == len(summaries) == 4
    for row, summary in zip(rows, summaries, strict=True):
        assert row["method"] == summary.method
        assert float(row["test_accuracy"]) == pytest.approx(summary.score.estimate)
        assert float(row["test_accuracy_low"]) == pytest.approx(summary.score.low)
        assert int(row["completed"]) == summary.counts[Status.COMPLETED]
    counts = table(full.root, "counts")
    assert sum(int(row["completed"]) for row in counts) == 18 + len(load_searches(full.root))
    names = {path.name for path in (full.root / "report" / "tables").iterdir()}
    assert {"budgets.csv", "leads.csv", "differences.csv", "overall.csv", "times.csv",
            "sensitivity.csv", "samplers.csv", "sampler-pairs.csv", "costs.csv",
            "provenance.csv", "reasons.csv"} <= names  # fmt: skip


def test_every_figure_is_a_file_in_two_forms(full):
    page = page_of(full)
    figures = full.root / "report" / "figures"
    drawn = {path.stem for path in figures.glob("*.svg")}
    assert drawn == {path.stem for path in figures.glob("*.png")}
    assert drawn == set(re.findall(r'<figure id="figure-([^"]+)"', page))
    for path in figures.glob("*.svg"):
        ElementTree.parse(path)
    markdown = (full.root / "report" / "report.md").read_text()
    for name in re.findall(r"\(figures/([^)]+)\)", markdown):
        assert (figures / name).exists()


def test_an_unfinished_study_is_marked(full):
    full.add_method("late", [None] * 5)
    page = page_of(full)
    assert "Unfinished: 5 of 89 trials have not been run" in page
    assert "0, 5 missing" not in page
    assert "5, 5 missing" in page


def test_an_empty_study_is_a_page_that_says_so(ledger):
    ledger.add_method("adam", [None, None])
    page = page_of(ledger)
    assert "No trial of an untuned method has been run: there is no answer yet." in page
    assert "Unfinished: 2 of 2 trials" in page
    assert "Nothing was tuned" in page
    assert "<figure" not in page


def test_a_study_of_searches_alone_is_a_page(ledger):
    ledger.add_search("adamw", noisy(0.5, 16))
    page = page_of(ledger)
    assert "The study has no methods, only searches." in page
    assert "no untuned method has run on this workload" in page
    assert 'id="figure-budgets-digits-cnn"' in page


def test_one_method_is_not_compared(ledger):
    ledger.add_method("adam", noisy(0.5))
    page = page_of(ledger)
    assert "Nothing is compared: &#39;adam&#39; has no rival" in page


def test_one_seed_has_no_interval(ledger):
    ledger.add_method("adam", [0.5])
    ledger.add_method("sgd", [0.6])
    page = page_of(ledger)
    assert "60.00 % [one run] (1 run)." in page
    assert "Hollow in the figure: a single pair" in page


def test_a_study_in_which_all_diverged_is_a_page(ledger):
    for method in ("adam", "sgd"):
        ledger.add_method(method, [Status.DIVERGED] * 3, error="loss is nan")
    ledger.add_search("adamw", [Status.DIVERGED] * 8, error="loss is nan")
    page = page_of(ledger)
    assert "10.00 % [10.00, 10.00] (3 runs, 3 of them without a score)" in page
    assert "neither has a score" in page
    assert "loss is nan" in page


def test_mixed_versions_are_told(ledger):
    for seed, version in enumerate(["2.13", "2.12"]):
        ledger.add("adam", seed, 0.5, torch_version=version)
    assert "Mixed: not all trials have the same torch_version" in page_of(ledger)


def test_development_runs_and_superseded_ones_are_counted(ledger):
    ledger.add_method("adam", [0.5, 0.6], purpose="development")
    page = page_of(ledger)
    assert "Development: 2 of 2 recorded trials on digits-cnn" in page


def test_a_truncated_file_is_named_and_left_out(ledger):
    ledger.add_method("adam", noisy(0.5))
    folder = ledger.finish()
    (folder / "trials" / "segment-0000.parquet").write_bytes(b"PAR1 and no more")
    page = write_report([folder]).read_text()
    assert "Damaged, and left out: segment-0000.parquet" in page
    assert "Damaged: 1 file of the ledger is left out" in page


def test_a_folder_without_a_ledger_is_one_line(tmp_path):
    with pytest.raises(UserError, match="holds no results"):
        write_report([tmp_path])
    assert list(tmp_path.iterdir()) == []


def test_several_studies_are_told_as_one(tmp_path):
    methods, searches = MadeUpLedger(tmp_path / "a"), MadeUpLedger(tmp_path / "b")
    methods.add_method("metalr", noisy(0.5))
    searches.add_search("adamw", noisy(0.5, 16))
    page = write_report([methods.finish(), searches.finish()])
    assert page == tmp_path / "a" / "report" / "index.html"
    assert "adamw random needs" in page.read_text()
    elsewhere = write_report([methods.root], tmp_path / "out")
    assert elsewhere == tmp_path / "out" / "index.html"


def test_a_report_that_is_written_again_replaces_the_old_one(full, ledger):
    page_of(full)
    stale = full.root / "report" / "figures" / "of-a-workload-no-longer-there.svg"
    stale.write_text("<svg/>")
    page_of(full)
    assert not stale.exists()


def test_replayed_searches_are_shown(full):
    head = "workload,sampler,pruner,batch,workers,repeat,trials,validation_accuracy,test_accuracy," \
        "configuration_accuracy,seconds,gradient_evaluations\n"  # fmt: skip
    rows = "".join(
        f"digits-cnn,tpe,,4,4,{r},{t},.5,.{r}{t},.5,1,9\n" for r in (4, 5) for t in (1, 2)
    )
    (full.root / "replay.csv").write_text(head + rows)
    assert 'id="figure-replayed-digits-cnn"' in page_of(full)
