"""Optimizers by import path: what a study may name, and one line for what it may not."""

import textwrap

import pytest
import torch

from tests.conftest import SMALL_STUDY, expanded
from tune_metalr.errors import UserError
from tune_metalr.import_path import code_version, resolve
from tune_metalr.methods.build import build_optimizer
from tune_metalr.methods.imported import canonical_keywords
from tune_metalr.study_file import load_study

OWN = """
    import torch

    class Descent(torch.optim.SGD):
        pass

    class NeedsClosure(torch.optim.SGD):
        def step(self, closure):
            return super().step(closure)

    class NoRate(torch.optim.Optimizer):
        def __init__(self, params):
            super().__init__(params, {})

    class Drawing(torch.optim.SGD):
        def __init__(self, params, lr, seed=0, seeds=0):
            super().__init__(params, lr)

    def no_optimizer():
        pass
"""


@pytest.fixture
def own_module(tmp_path, monkeypatch):
    """A module of the user's, in the folder that the command is run from."""
    name = f"own_{tmp_path.name}".replace("-", "_")
    path = tmp_path / f"{name}.py"
    path.write_text(textwrap.dedent(OWN))
    (tmp_path / "broken_one.py").write_text("raise RuntimeError('not\\ntoday')\n")
    monkeypatch.syspath_prepend(tmp_path)
    return path


def test_a_name_without_a_module_is_no_import_path():
    with pytest.raises(ValueError, match=r"^'bohb' is no import path, such as package"):
        resolve("bohb")


def study(write_study, settings):
    return write_study(SMALL_STUDY.split("methods:")[0] + f"methods:\n  own: {{{settings}}}\n")


def test_a_keyword_called_seeds_cannot_be_given_and_one_called_seed_can(own_module, write_study):
    settings = f"optimizer: {own_module.stem}.Drawing, lr: 0.1"
    with pytest.raises(UserError, match="'seeds' says how often a method is run"):
        load_study(study(write_study, f"{settings}, seeds: 3"))
    (first, *_) = expanded(study(write_study, f"{settings}, seed: 5"))
    assert first.trial.hyperparameters["seed"] == 5
    search = (
        f"optimizer: {own_module.stem}.Drawing, seed: 5, space: {{lr: {{uniform: [0.1, 1]}}}}, "
        "samplers: random, trials: 4"
    )
    text = SMALL_STUDY + f"searches:\n  own: {{{search}}}\n"
    assert load_study(write_study(text)).study.searches["own"].seeds is None


def test_any_optimizer_of_an_installed_package_can_be_named(write_study, make_trial):
    text = "optimizer: torch.optim.Adagrad, lr: 0.1, lr_decay: 1e-3"
    trial = expanded(study(write_study, text))[0].trial
    assert trial.optimizer == "torch.optim.Adagrad"
    assert trial.method_revision == f"torch-{torch.__version__.partition('+')[0]}-1-1"
    optimizer = build_optimizer(trial, [torch.nn.Parameter(torch.ones(1))])
    assert type(optimizer) is torch.optim.Adagrad
    assert optimizer.param_groups[0]["lr_decay"] == 1e-3


def test_an_own_optimizer_is_versioned_by_its_file(write_study, own_module):
    path = study(write_study, f"optimizer: {own_module.stem}.Descent, lr: 0.1")
    before = expanded(path)[0].trial
    own_module.write_text(own_module.read_text() + "\n# changed\n")
    after = expanded(path)[0].trial
    assert before.method_revision.startswith(own_module.stem)
    assert before.trial_id != after.trial_id


def test_numbers_become_what_the_optimizer_expects():
    def keywords(**given):
        return canonical_keywords("schedulefree.AdamWScheduleFree", given)

    given = keywords(warmup_steps=10.0, betas=["9e-1", 0], weight_decay="1e-2", r=1, foreach=True)
    assert given == {
        "warmup_steps": 10, "betas": [0.9, 0.0], "weight_decay": 0.01, "r": 1.0, "foreach": True,
    }  # fmt: skip
    assert type(given["warmup_steps"]) is int
    assert type(given["r"]) is float


MISTAKES = {
    "no such package": ("optimizer: nowhere.Adam, lr: 1", "methods.own.optimizer: cannot import 'nowhere.Adam': no module 'nowhere' is installed"),
    "no such name": ("optimizer: torch.optim.Adamm, lr: 1", "no 'Adamm' in 'torch.optim'; did you mean 'torch.optim.Adam"),
    "no optimizer": ("optimizer: torch.nn.Linear, lr: 1", "'torch.nn.Linear' is no torch.optim.Optimizer"),
    "a function": ("optimizer: OWN.no_optimizer, lr: 1", "no_optimizer' is no torch.optim.Optimizer"),
    "a broken module": ("optimizer: broken_one.Adam, lr: 1", "cannot import 'broken_one.Adam': RuntimeError: not"),
    "a closure": ("optimizer: OWN.NeedsClosure, lr: 1", "needs a closure in each step"),
    "another closure": ("optimizer: torch.optim.LBFGS, lr: 1", "'torch.optim.LBFGS' needs a closure in each step"),
    "no rate": ("optimizer: OWN.NoRate, lr: 1", "NoRate' takes no 'lr'"),
    "an unknown keyword": ("optimizer: torch.optim.Adagrad, lr: 1, lr_decai: 0", "optimizer 'torch.optim.Adagrad' takes no 'lr_decai'; did you mean 'lr_decay'?"),
    "a wrong value": ("optimizer: torch.optim.Adagrad, lr: 1, lr_decay: -1", "optimizer 'torch.optim.Adagrad' cannot be built: Invalid lr_decay value: -1"),
    "a wrong kind": ("optimizer: torch.optim.Adagrad, lr: 1, lr_decay: fast", "optimizer 'torch.optim.Adagrad' cannot be built: "),
    "a controller": ("optimizer: schedulefree.AdamWScheduleFree, controller: metalr", "averages weights by its own rates: remove 'controller'"),
    "no decay": ("optimizer: torch.optim.Rprop, lr: 1, weight_decay: 0.1", "optimizer 'torch.optim.Rprop' takes no 'weight_decay'"),
}  # fmt: skip


@pytest.mark.parametrize(("settings", "line"), MISTAKES.values(), ids=MISTAKES)
def test_each_mistake_gets_one_line(write_study, own_module, settings, line):
    path = study(write_study, settings.replace("OWN", own_module.stem))
    with pytest.raises(UserError) as error:
        load_study(path)
    message = str(error.value)
    assert line in message
    assert message.startswith(f"{path}:8: methods.own")
    assert len(message.splitlines()) == 1


def test_code_of_an_interactive_session_has_no_version():
    namespace = {"__name__": "__main__"}
    exec("class Thing: pass", namespace)
    assert code_version(namespace["Thing"])


def test_a_name_is_imported_from_its_module():
    assert resolve("torch.optim.SGD") is torch.optim.SGD
