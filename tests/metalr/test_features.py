"""Features have no unit, resume bit for bit, and say nothing where nothing can be said."""

import math

import pytest
import torch

from tests.small_training import through_a_file
from tune_metalr.metalr.features import Features, FeatureTracker
from tune_metalr.metalr.probe import Probe, Reading, StepSize

STEPS = 60


def run(*, loss_scale=1.0, weight_scale=1.0, rate=0.01, saved_at=None):
    """Return the features of looks at every fifth step of a noisy quadratic, under Adam."""
    generator = torch.Generator().manual_seed(0)
    weight = torch.nn.Parameter(weight_scale * torch.linspace(1, 2, 8, dtype=torch.float64))
    optimizer = torch.optim.Adam([weight], lr=rate * weight_scale, eps=0.0)
    tracker = FeatureTracker(STEPS)
    looks = []
    for step in range(STEPS):
        noise = 0.1 * torch.randn(8, generator=generator, dtype=torch.float64)

        def closure(noise=noise):
            return loss_scale * ((weight / weight_scale + noise) ** 2).sum()

        optimizer.zero_grad()
        loss = closure()
        loss.backward()
        tracker.hear(step, loss.item())
        probe = Probe([weight])
        optimizer.step()
        if step % 5 == 4:
            reading = probe.read(loss.detach(), closure, gradient_scale=1.0)
            looks.append(
                tracker.look(step, rate * weight_scale, reading, probe.measure(gradient_scale=1.0))
            )
        if step == saved_at:
            state = through_a_file(tracker.state_dict())
            tracker = FeatureTracker(STEPS)
            tracker.load_state_dict(state)
    return looks


@pytest.mark.parametrize("scales", [{"loss_scale": 1e3}, {"weight_scale": 1e-2}])
def test_features_have_no_unit(scales) -> None:
    for plain, scaled in zip(run(), run(**scales), strict=True):
        assert tuple(scaled) == pytest.approx(tuple(plain), rel=1e-6)


def test_features_say_how_a_run_goes() -> None:
    *_, last = run()
    assert all(math.isfinite(value) for value in last)
    assert last.loss_position < 0
    assert last.loss_trend < 0
    assert last.gradient_trend < 0
    assert 0 < last.sigma < 1
    assert last.alignment > 0.5


@pytest.mark.parametrize("saved_at", [0, 13, 40])
def test_a_saved_state_resumes_bit_for_bit(saved_at) -> None:
    assert run(saved_at=saved_at) == run()


def test_a_larger_rate_has_a_larger_sigma_and_step() -> None:
    small, large = (run(rate=rate)[3] for rate in (0.01, 0.03))
    assert large.sigma > small.sigma
    assert large.relative_step > small.relative_step + 0.9


def test_what_cannot_be_told_is_no_number() -> None:
    tracker = FeatureTracker(100)
    tracker.hear(0, 1.0)
    unresolved = Reading(foretold=0.0, decrease=0.0, is_resolved=False, has_failed=False)
    size = StepSize(0.0, 0.0, 0.0, alignment=math.nan, num_weights=3)
    seen = tracker.look(0, 0.0, unresolved, size)
    silent = {name for name, value in seen._asdict().items() if math.isnan(value)}
    assert silent == set(Features._fields) - {"loss_position", "loss_trend"}
