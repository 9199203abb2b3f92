"""The report in a browser: nothing asked for, nothing wrong, everything to hand."""

import numpy as np
import pytest

from analysis.report.report import write_report
from tests.browser.chromium import EXECUTABLE, chromium
from tests.ledgers import MadeUpLedger
from tune_metalr.trial import Status

pytestmark = [
    pytest.mark.heavy,
    pytest.mark.skipif(EXECUTABLE is None, reason="needs Debian's chromium"),
]

HOSTILE = "<script>alert(1)</script>"
LONG = "a-method-with-a-name-as-long-as-some-users-will-choose-for-theirs"
METHODS = ["adam", "metalr", HOSTILE, LONG]
LAPTOP, PHONE = 1440, 390


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    ledger = MadeUpLedger(tmp_path_factory.mktemp("browser") / "study", reference="adam")
    rng = np.random.default_rng(0)
    for workload in ("cifar10-cnn", "imdb-lstm"):
        for place, method in enumerate(METHODS):
            scores = [float(v) for v in rng.normal(0.5 + 0.05 * place, 0.01, 6)]
            if place == 2:
                scores[0] = Status.DIVERGED
            path = [1e-3 * (place + 1) * (1 - step / 200) for step in range(200)]
            ledger.add_method(method, scores, workload=workload, learning_rates=path)
        ledger.add_search("adamw", [float(v) for v in rng.uniform(0.2, 0.7, 32)], workload=workload)
        for repeat in (1, 2):
            scores = [float(v) for v in rng.uniform(0.2, 0.7, 8)]
            ledger.add_search("adamw", scores, sampler="tpe", repeat=repeat, workload=workload)
    return write_report([ledger.finish()])


@pytest.fixture
def tab():
    with chromium() as found:
        yield found


def show(tab, figure="budgets-cifar10-cnn"):
    """Bring a figure into sight, with its charts drawn."""
    tab.run(f"document.getElementById('figure-{figure}').scrollIntoView({{block: 'center'}})")
    tab.wait(f"document.querySelectorAll('#figure-{figure} canvas').length > 0")


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [PHONE, LAPTOP])
def test_nothing_is_asked_for_and_nothing_is_wrong(tab, page, width, dark):
    tab.open(page, width=width, dark=dark)
    for figure in tab.run("[...document.querySelectorAll('.charts')].map(b => b.dataset.figure)"):
        show(tab, figure)
    assert tab.complaints == []
    assert [url for url in tab.requests if not url.startswith("data:")] == [page.as_uri()]
    paper = tab.run("getComputedStyle(document.body).backgroundColor")
    assert paper == ("rgb(20, 24, 29)" if dark else "rgb(255, 255, 255)")


@pytest.mark.parametrize("width", [PHONE, LAPTOP])
def test_nothing_is_wider_than_the_window(tab, page, width):
    tab.open(page, width=width)
    show(tab)
    assert tab.run("document.documentElement.scrollWidth") <= width
    over = "c => c.getBoundingClientRect().right > innerWidth + 1"
    assert not tab.run(f"[...document.querySelectorAll('.uplot, p, h2')].some({over})")
    size = "parseFloat(getComputedStyle(e).fontSize)"
    assert tab.run(f"Math.min(...[...document.querySelectorAll('td, p')].map(e => {size}))") >= 12


def test_a_hostile_name_is_text(tab, page):
    tab.open(page, width=LAPTOP)
    names = tab.run("[...document.querySelectorAll('.chips span')].map(e => e.textContent)")
    assert names[:4] == METHODS
    scripts = tab.run("[...document.scripts].filter(s => s.textContent === 'alert(1)').length")
    assert scripts == 0
    assert not [e for e in tab.events if e.get("method") == "Page.javascriptDialogOpening"]


def test_a_table_is_sorted_by_its_numbers_both_ways(tab, page):
    tab.open(page, width=LAPTOP)
    column = "[...document.querySelectorAll('#table-methods tbody tr')].map(r => r.cells[7].dataset.sort)"
    head = "document.querySelectorAll('#table-methods th')[7]"
    tab.run(f"{head}.firstElementChild.click()")
    rising = [float(value) for value in tab.run(column)]
    assert rising == sorted(rising)
    assert tab.run(f"{head}.getAttribute('aria-sort')") == "ascending"
    tab.run(f"{head}.firstElementChild.click()")
    assert [float(value) for value in tab.run(column)] == rising[::-1]


def test_never_and_nothing_come_last(tab, page):
    tab.open(page, width=LAPTOP)
    tab.run("document.querySelectorAll('#table-budgets th')[3].firstElementChild.click()")
    shown = tab.run(
        "[...document.querySelectorAll('#table-budgets tbody tr')].map(r => r.cells[3].dataset.sort)"
    )
    assert shown == sorted(shown, key=float)


def test_methods_that_are_not_picked_are_shown_nowhere(tab, page):
    tab.open(page, width=LAPTOP)
    show(tab)
    tab.run("document.querySelector('.chips input[data-method=\"1\"]').click()")
    left = (
        "[...document.querySelectorAll('[data-method=\"1\"]:not(input, .legend *)')]"
        ".filter(e => e.getClientRects().length).length"
    )
    assert tab.run(left) == 0
    assert tab.run("document.getElementById('shown').textContent") == "5 of 6"
    tab.run("document.querySelector('[data-pick=none]').click()")
    assert tab.run("document.querySelectorAll('#table-methods tbody tr:not(.off)').length") == 0
    tab.run("document.querySelector('[data-pick=all]').click()")
    assert tab.run("document.querySelectorAll('#table-methods tbody tr:not(.off)').length") == 8


@pytest.mark.parametrize("width", [PHONE, LAPTOP])
def test_a_curve_says_what_it_is_when_pointed_at(tab, page, width):
    tab.open(page, width=width)
    show(tab)
    tip = "document.querySelector('#figure-budgets-cifar10-cnn .tip')"
    box = tab.run(
        "(r => [r.left, r.top, r.width, r.height])(document.querySelector("
        "'#figure-budgets-cifar10-cnn .u-over').getBoundingClientRect())"
    )
    shown = set()
    for share in np.linspace(0.05, 0.95, 19):
        tab.move(box[0] + box[2] / 2, box[1] + share * box[3])
        if tab.run(f"{tip}.style.display") == "block":
            shown.add(tab.run(f"{tip}.querySelector('b').textContent"))
    assert {"adamw random", LONG} <= shown
    assert tab.complaints == []


def test_the_legend_names_every_line_and_hides_it_everywhere(tab, page):
    tab.open(page, width=LAPTOP)
    show(tab)
    legend = "#figure-budgets-cifar10-cnn .legend button"
    names = tab.run(f"[...document.querySelectorAll('{legend}')].map(e => e.textContent)")
    assert {"adamw random", *METHODS} <= set(names)
    assert len(set(names)) == len(names)
    entry = f"[...document.querySelectorAll('{legend}')].find(e => e.textContent === 'metalr')"
    tab.run(f"{entry}.click()")
    assert tab.run(f"{entry}.getAttribute('aria-pressed')") == "false"
    place = tab.run(f"{entry}.dataset.method")
    assert tab.run(f"[...document.querySelectorAll('tr[data-method=\"{place}\"]')]"
                   ".every(e => e.classList.contains('off'))")  # fmt: skip
    assert tab.run("document.getElementById('shown').textContent") == "5 of 6"
    tab.run(f"{entry}.click()")
    assert tab.run("document.getElementById('shown').textContent") == "6 of 6"
    assert tab.complaints == []


def test_on_paper_the_static_figures_stand_in_for_charts(tab, page):
    tab.open(page, width=LAPTOP)
    tab.send("Emulation.setEmulatedMedia", media="print")
    seen = "e => getComputedStyle(e).display !== 'none'"
    assert not tab.run(f"[...document.querySelectorAll('.charts, .picker')].some({seen})")
    assert tab.run(f"[...document.querySelectorAll('.static')].every({seen})")
    assert len(tab.send("Page.printToPDF")["data"]) > 10_000
