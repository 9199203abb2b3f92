"""Peers in our loop: they learn, resume, bear missing gradients, and are missed in one line."""

import importlib.metadata
import subprocess
import sys

import pytest
import torch

from tests.conftest import SMALL_STUDY, expanded
from tests.peers import PEERS, of_preset
from tests.test_training import run, through_a_file
from tune_metalr.errors import UserError, install
from tune_metalr.import_path import code_version, resolve
from tune_metalr.methods.build import build_controller, build_optimizer
from tune_metalr.methods.presets import PRESETS
from tune_metalr.study_file import load_study
from tune_metalr.training import Training
from tune_metalr.workloads.task import Task

PACKAGES = {
    "dadaptation": "dadaptation",
    "dog": "dog-optimizer",
    "mechanic_pytorch": "mechanic-pytorch",
    "momo": "momo-opt",
    "prodigyopt": "prodigyopt",
    "schedulefree": "schedulefree",
}
ADAPTERS = {
    "tune_metalr.methods.dog.DoG": "dog",
    "tune_metalr.methods.dog.LDoG": "dog",
    "tune_metalr.methods.mechanic.MechanicAdamW": "mechanic_pytorch",
    "tune_metalr.methods.momo.MomoAdam": "momo",
}


def built(make_trial, name, parameters, total_steps):
    trial = make_trial(**of_preset(name))
    optimizer = build_optimizer(trial, parameters)
    return build_controller(trial, optimizer, total_steps=total_steps)


def take_steps(controller, loss_of, steps):
    for _ in range(steps):
        controller.optimizer.zero_grad(set_to_none=True)
        loss = loss_of()
        loss.backward()
        controller.step(loss)


def study(write_study, settings):
    return write_study(SMALL_STUDY.split("methods:")[0] + f"methods:\n  own: {{{settings}}}\n")


@pytest.mark.parametrize("name", PRESETS)
def test_a_study_can_name_it(write_study, name):
    trial = expanded(study(write_study, f"preset: {name}"))[0].trial
    expected = of_preset(name)
    assert (trial.optimizer, trial.schedule) == (expected["optimizer"], expected["schedule"])
    assert trial.hyperparameters == {"warmup_fraction": 0.0} | expected["hyperparameters"]


@pytest.mark.parametrize("name", PEERS)
def test_it_learns(make_trial, name):
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn(64, 5, generator=generator)
    labels = inputs @ torch.randn(5, 1, generator=generator)
    torch.manual_seed(0)
    model = torch.nn.Linear(5, 1)

    def loss_of():
        return ((model(inputs) - labels) ** 2).mean()

    before = float(loss_of().detach())
    controller = built(make_trial, name, model.parameters(), 300)
    take_steps(controller, loss_of, 300)
    with controller.evaluation():
        assert float(loss_of().detach()) < 0.7 * before


@pytest.mark.parametrize("name", [name for name in PEERS if not name.endswith("batch-norm")])
def test_it_gives_the_same_bits_whole_and_resumed(make_trial, places, name):
    def start():
        trial = make_trial(epochs=2, **of_preset(name))
        return Training(trial, Task(trial, places))

    whole = run(start())
    first = start()
    first.run_epoch()
    state = through_a_file(first.state_dict())
    second = start()
    second.load_state_dict(state)
    assert run(second) == whole


@pytest.mark.parametrize("name", PEERS)
def test_a_resume_before_the_first_step_is_a_beginning(make_trial, name):
    def weight_after(is_resumed):
        weight = torch.nn.Parameter(torch.tensor([1.0, -2.0]))
        controller = built(make_trial, name, [weight], 4)
        if is_resumed:
            controller.optimizer.load_state_dict(through_a_file(controller.optimizer.state_dict()))
        take_steps(controller, lambda: (weight**2).sum(), 4)
        return weight.detach()

    assert torch.equal(weight_after(True), weight_after(False))


@pytest.mark.parametrize("name", PEERS)
def test_what_has_no_gradient_stays(make_trial, name):
    used, unused, frozen = (torch.nn.Parameter(torch.ones(2)) for _ in range(3))
    frozen.requires_grad_(False)
    controller = built(make_trial, name, [unused, used, frozen], 4)
    take_steps(controller, lambda: (used**2).sum(), 4)
    assert not torch.equal(used, torch.ones(2))
    assert torch.equal(unused, torch.ones(2))
    assert torch.equal(frozen, torch.ones(2))
    assert unused.grad is frozen.grad is None


@pytest.mark.parametrize("name", PEERS)
def test_the_order_in_memory_changes_nothing(make_trial, name):
    def trained(memory_format):
        start = torch.randn(4, 3, 2, 2, generator=torch.Generator().manual_seed(0))
        weight = torch.nn.Parameter(start.clone(memory_format=memory_format))
        sizes = torch.linspace(1, 2, weight.numel()).reshape(weight.shape)
        controller = built(make_trial, name, [weight], 6)
        take_steps(controller, lambda: (sizes * weight**2).sum(), 6)
        assert weight.is_contiguous(memory_format=memory_format)
        return weight.detach() - start

    orders = (torch.contiguous_format, torch.channels_last)
    plain, channels_last = (trained(order) for order in orders)
    assert torch.allclose(plain, channels_last, rtol=1e-3, atol=1e-7)


def forget(monkeypatch, module):
    """Make a package look as if it were not installed."""
    monkeypatch.setitem(sys.modules, module, None)
    for adapter, adapted in ADAPTERS.items():
        if adapted == module:
            monkeypatch.delitem(sys.modules, adapter.rpartition(".")[0], raising=False)


@pytest.mark.parametrize("name", PEERS)
def test_a_missing_package_gets_one_line(write_study, monkeypatch, name):
    optimizer = PRESETS[name].settings["optimizer"]
    module = ADAPTERS.get(optimizer, optimizer.partition(".")[0])
    forget(monkeypatch, module)
    path = study(write_study, f"preset: {name}")
    with pytest.raises(UserError) as error:
        load_study(path)
    assert str(error.value) == (
        f"{path}:8: methods.own: '{optimizer}' needs the package "
        f"'{PACKAGES[module]}': {install('peers')}"
    )


def test_peers_are_listed_without_their_packages():
    code = (
        f"import sys; sys.modules |= dict.fromkeys({list(PACKAGES)!r})\n"
        "from tune_metalr.cli import app\n"
        "app(['list', 'methods'], standalone_mode=False)"
    )
    listed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert listed.returncode == 0, listed.stderr
    assert all(name in listed.stdout for name in PEERS)


@pytest.mark.parametrize(("path", "package"), ADAPTERS.items())
def test_an_adapter_has_the_version_of_what_it_adapts(path, package):
    version = importlib.metadata.version(PACKAGES[package])
    assert code_version(resolve(path)) == f"{package}-{version}.{resolve(path).revision}"


def test_what_a_user_makes_of_an_adapter_is_the_users(tmp_path, monkeypatch):
    (tmp_path / "made_of_dog.py").write_text(
        "from tune_metalr.methods.dog import DoG\nclass Own(DoG):\n    pass\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    assert code_version(resolve("made_of_dog.Own")).startswith("made_of_dog-")


LOSS = """
import torch

class NeedsLoss(torch.optim.SGD):
    def step(self, loss):
        self.heard = float(loss)
        super().step()
"""


def test_the_loss_is_given_to_whom_it_is_needed_by(write_study, make_trial, tmp_path, monkeypatch):
    (tmp_path / "own_loss.py").write_text(LOSS)
    monkeypatch.syspath_prepend(tmp_path)
    text = "optimizer: own_loss.NeedsLoss, lr: 0.1"
    trial = expanded(study(write_study, text))[0].trial
    weight = torch.nn.Parameter(torch.tensor([3.0]))
    optimizer = build_optimizer(trial, [weight])
    controller = build_controller(trial, optimizer, total_steps=1)
    take_steps(controller, lambda: (weight**2).sum(), 1)
    assert optimizer.heard == 9.0
    path = study(write_study, f"{text}, controller: hypergradient")
    with pytest.raises(UserError, match="needs the loss in each step; controller 'hypergradient'"):
        load_study(path)


def test_a_step_of_mechanic_that_fails_leaves_gradients_on():
    weight = torch.nn.Parameter(torch.ones(2))
    optimizer = resolve("tune_metalr.methods.mechanic.MechanicAdamW")([weight])
    with pytest.raises(TypeError):  # no parameter has a gradient
        optimizer.step()
    assert torch.is_grad_enabled()
