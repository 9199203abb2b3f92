"""The page of what MetaLR has learned: every training beside the others, what was not run named."""

import json

import pytest

from analysis.publishing.meta_training import PAGE, meta_training_page, trainings

LAW = {
    "rate_at_1000_steps": 0.01,
    "rate_exponent": -0.5,
    "warmup_fraction": 0.25,
    "weight_decay": 0.3,
    "width_exponent": 0.0,
}
OTHER_LAW = LAW | {"rate_at_1000_steps": 0.02, "rate_exponent": 0.0, "width_exponent": -0.2}
THERE = LAW | {"regret_there": 0.05, "single_rate_regret_there": 0.07}
REFINED = {"law": OTHER_LAW, "pays": False, "gain": [0.01, -0.02, 0.04]}
ABLATION = {
    "runs": 36,
    "planned_runs": 36,
    "saves": {"probe": [0.02, 0.01, 0.03], "residual": [-0.3, -0.4, -0.2], "online": [0, -1, 1]},
    "saves_over_prior": {"probe": [0.02, 0.01, 0.03], "residual": [0.1] * 3, "online": [0.2] * 3},
}
PREDICTIONS = [
    {"target": "rate", "inputs": "horizon", "explained": 0.5, "regret": 0.06},
    {"target": "rate", "inputs": "horizon, sigma", "explained": None, "regret": 0.08},
    {"target": "weight_decay", "inputs": "horizon", "explained": 0.123, "regret": 0.06},
]


def prior(*, law=LAW, residuals=(), unfinished=(), **fit):
    left_out = {"digits": THERE, "textures": THERE | {"regret_there": 0.15}}
    record = {
        "command": "tune-metalr meta-train DIR",
        "commit": "0123456789",
        "runs": 1200,
        "seeds": [0, 1],
        "seconds": 7200,
        "unfinished": list(unfinished),
        "fits": {"adam": {"mean_regret": 0.04, "left_out": left_out} | fit},
    }
    return {"families": {"adam": law}, "residuals": dict.fromkeys(residuals, ""), "record": record}


def verdicts(*, ablation=ABLATION, gain=(0.01, 0.0, 0.02), **more):
    gates = {"sigma": {"passes": None if gain is None else False}}
    found = {"gates": gates, "predictions": PREDICTIONS, "gain": gain, "ablation": ablation}
    return {"adam": found | more}


@pytest.fixture
def write(tmp_path):
    def write(prior, verdicts, name=None):
        folder = tmp_path / ("tune_metalr/metalr" if name is None else PAGE.parent / name)
        folder.mkdir(parents=True)
        (folder / "prior.json").write_text(json.dumps(prior))
        (folder / "verdicts.json").write_text(json.dumps(verdicts))

    return write


def lines(root):
    return meta_training_page(trainings(root)).replace("\\", "").splitlines()


def test_a_training_is_told_with_its_law_its_parts_and_its_features(tmp_path, write):
    write(prior(refined=REFINED), verdicts())
    page = lines(tmp_path)
    for line in (
        "| shipped | 1200 | 0, 1 | 2.0 | - | `tune-metalr meta-train DIR` | 0123456 |",
        "| shipped | 0.01 (steps / 1000)^-0.5 | 0.25 | 0.3 | 0.040 | 0.100 | saves 0.0100 [-0.0200, "
        "0.0400]; not taken: 0.02 (width / 100)^-0.2, warm-up 0.25, decay 0.3 |",
        "| digits | 0.01 (steps / 1000)^-0.5 | 0.25 | 0.3 | 0.050 | 0.070 |",
        "| probe | 0.0200 [0.0100, 0.0300] | 0.0200 [0.0100, 0.0300] | yes | on |",
        "| residual | -0.3000 [-0.4000, -0.2000] | 0.1000 [0.1000, 0.1000] | no | off |",
        "| online | 0.0000 [-1.0000, 1.0000] | 0.2000 [0.2000, 0.2000] | undecided | off |",
        "| horizon | - | 0.500 | 0.060 |",
        "| horizon, sigma | fails | - | 0.080 |",
        "A residual on those that pass saves 0.0100 [0.0000, 0.0200] of regret there.",
    ):
        assert line in page
    assert not any("0.123" in line for line in page)  # of another target


def test_a_residual_that_is_shipped_is_on(tmp_path, write):
    write(prior(residuals=["adam"]), verdicts())
    assert "| no | on |" in next(line for line in lines(tmp_path) if line.startswith("| residual"))


def test_what_was_not_run_says_so(tmp_path, write):
    ablation = {"runs": 3, "planned_runs": 36, "saves": {}}
    write(prior(unfinished=["ablation adam"]), verdicts(ablation=ablation, gain=None))
    page = lines(tmp_path)
    assert page[4].startswith("| training | runs")
    assert "| ablation adam |" in page[6]
    assert "Not run yet: 3 of 36 runs." in page
    assert "| horizon, sigma | not judged | - | 0.080 |" in page
    assert "A residual on those that pass could not be judged." in page


@pytest.mark.parametrize(
    ("law", "gain", "told"),
    [
        (LAW, [0.0, 0.0, 0.0], "The law of seed-1 is that of the training that it was compared "),
        (OTHER_LAW, [0.1, -0.2, 0.4], "decay 0.3: it saves 0.1000 [-0.2000, 0.4000] of regret"),
        (OTHER_LAW, None, "decay 0.3: not run yet."),
    ],
)
def test_another_training_stands_beside_the_shipped_one(tmp_path, write, law, gain, told):
    write(prior(), verdicts())
    write(prior(law=law), verdicts(beside={"law": LAW, "saves": gain}), "seed-1")
    page = lines(tmp_path)
    assert [line for line in page if line.startswith("| seed-1 | ")]
    assert told in "\n".join(page)
    assert "### adam, seed-1: parts" in page
