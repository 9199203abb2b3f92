"""The timing behind a plan: training as it is, a controller's own work included."""

import pytest

from tune_metalr import methods
from tune_metalr.batch_loss import BatchLoss, evaluate_again
from tune_metalr.methods import build
from tune_metalr.methods.fixed import FixedSchedule
from tune_metalr.timing import estimate


class Probing(FixedSchedule):
    """Looks at the loss many times in each step."""

    looks = 20

    def step(self, loss, closure=None, *, gradient_scale=1.0):
        assert isinstance(closure, BatchLoss)
        for _ in range(self.looks):
            evaluate_again(closure)
        super().step(loss, closure, gradient_scale=gradient_scale)


@pytest.fixture
def probing(monkeypatch):
    """Let the fixed controller probe."""
    path = f"{Probing.__module__}.{Probing.__name__}"
    changed = {"fixed": methods.CONTROLLERS["fixed"]._replace(path=path)}
    monkeypatch.setattr(build, "CONTROLLERS", changed)


def test_a_controllers_probes_are_timed(make_trial, places, request):
    trial = make_trial(epochs=8)
    plain = estimate(trial, places)
    request.getfixturevalue("probing")
    probed = estimate(trial, places)
    assert probed.gradient_steps == plain.gradient_steps == 8 * 4
    assert probed.seconds > 2 * plain.seconds
