"""MetaLR within Lightning, whose optimization is automatic or manual."""

import copy

import pytest
import torch
from torch.nn.functional import mse_loss

from tests.readme import code_blocks, run
from tune_metalr import AsOptimizer, BatchLoss, MetaLR

REASON = "needs pip install -c constraints.txt -e '.[integrations]'"
lightning = pytest.importorskip("lightning.pytorch", reason=REASON)

pytestmark = [
    # Lightning asks torch for leaves of trees in a way that torch has deprecated.
    pytest.mark.filterwarnings(
        "ignore:.isinstance.treespec, LeafSpec.. is deprecated:FutureWarning"
    ),
    # A resumed run writes beside the checkpoint that it began with.
    pytest.mark.filterwarnings(
        "ignore:Checkpoint directory .* exists and is not empty:UserWarning"
    ),
]

STEPS = 8
PROBES = 4  # of the first eight steps: 0, 1, 3, 7
MAX_NORM = 0.5


MetaLRModule = run(
    code_blocks("## MetaLR in your own loop")[-1],
    lightning=lightning, torch=torch, AsOptimizer=AsOptimizer, BatchLoss=BatchLoss, MetaLR=MetaLR,
)["MetaLRModule"]  # fmt: skip


class Module(MetaLRModule):
    """Automatic optimization, as the README has it."""

    def __init__(self, dropout=0.0):
        super().__init__()
        torch.manual_seed(0)
        self.net = torch.nn.Sequential(
            torch.nn.Linear(3, 8), torch.nn.BatchNorm1d(8), torch.nn.Dropout(dropout), torch.nn.Linear(8, 1)
        )  # fmt: skip
        self.rates = []

    def loss(self, batch):
        inputs, targets = batch
        return mse_loss(self.net(inputs), targets)

    def on_train_batch_start(self, batch, batch_idx):
        torch.manual_seed(self.global_step)  # Lightning's checkpoints hold no random streams

    def on_train_batch_end(self, outputs, batch, batch_idx):
        self.rates.append(self.trainer.optimizers[0].param_groups[0]["lr"])


class Manual(Module):
    """Manual optimization: one batch a step, all in one `training_step`."""

    def __init__(self, dropout=0.0):
        super().__init__(dropout)
        self.automatic_optimization = False

    def training_step(self, batch, index):
        optimizer = self.optimizers()
        batch_loss = BatchLoss(lambda: self.loss(batch))
        loss = batch_loss()
        optimizer.zero_grad()
        self.manual_backward(loss)
        norm = torch.nn.utils.clip_grad_norm_(self.parameters(), MAX_NORM)
        optimizer.hear(loss, batch_loss)
        optimizer.hear_clipping(norm, MAX_NORM)
        optimizer.step()


def loader(accumulation, steps=STEPS):
    generator = torch.Generator().manual_seed(1)
    data = torch.randn(steps * accumulation * 4, 4, generator=generator)
    dataset = torch.utils.data.TensorDataset(data[:, :3], data[:, 3:])
    return torch.utils.data.DataLoader(dataset, batch_size=4)


def fit(module, folder, accumulation=1, *, data=None, resume=None, **settings):
    trainer = lightning.Trainer(
        accelerator="cpu", devices=1, max_steps=STEPS, logger=False, enable_progress_bar=False,
        enable_model_summary=False, default_root_dir=folder, accumulate_grad_batches=accumulation,
        num_sanity_val_steps=0,
        gradient_clip_val=MAX_NORM if module.automatic_optimization else None,
        **({"enable_checkpointing": False} | settings),
    )  # fmt: skip
    trainer.fit(module, data or loader(accumulation), ckpt_path=resume)
    return trainer


def loop_of_ones_own(accumulation, autocast):
    net = Module().net
    metalr = MetaLR(torch.optim.AdamW(net.parameters()), STEPS)
    data = iter(loader(accumulation))

    def loss_of(batch):
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=autocast):
            return mse_loss(net(batch[0]), batch[1])

    rates = []
    for _ in range(STEPS):
        batches = [next(data) for _ in range(accumulation)]
        parts = [BatchLoss(lambda batch=batch: loss_of(batch)) for batch in batches]
        metalr.optimizer.zero_grad()
        losses = [part() / accumulation for part in parts]
        for loss in losses:
            loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(net.parameters(), MAX_NORM)
        metalr.step(
            sum(losses).detach(),
            lambda parts=parts: sum(part() / accumulation for part in parts),
            gradient_scale=min(1.0, MAX_NORM / (float(norm) + 1e-6)),
        )
        rates.append(metalr.learning_rate)
    return net, metalr, rates


def assert_close(first, second, **tolerance):
    for one, other in zip(first.parameters(), second.parameters(), strict=True):
        torch.testing.assert_close(one, other, **tolerance)


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
@pytest.mark.parametrize(("make", "accumulation"), [(Module, 1), (Module, 2), (Manual, 1)])
def test_it_trains_as_a_loop_of_ones_own(make, accumulation, precision, tmp_path):
    module = make()
    trainer = fit(module, tmp_path, accumulation, precision=precision)
    net, metalr, rates = loop_of_ones_own(accumulation, autocast=precision == "bf16-mixed")
    controller = trainer.optimizers[0].controller
    assert trainer.global_step == STEPS
    assert controller.forward_evaluations == metalr.forward_evaluations == PROBES
    assert module.rates[accumulation - 1 :: accumulation] == pytest.approx(rates, rel=1e-6)
    assert controller.sigma == pytest.approx(metalr.sigma, abs=1e-2)
    assert_close(module.net, net, rtol=1e-5, atol=1e-6)
    assert module.net[1].num_batches_tracked == STEPS * accumulation


@pytest.mark.parametrize("make", [Module, Manual])
def test_a_checkpoint_goes_on_bit_for_bit(make, tmp_path):
    def fit_epochs(module, **settings):
        checkpoint = lightning.callbacks.ModelCheckpoint(tmp_path, "{epoch}", save_top_k=-1)
        data = loader(1, steps=1)  # one batch: Lightning itself repeats the first when it resumes
        return fit(
            module,
            tmp_path,
            data=data,
            callbacks=[checkpoint],
            enable_checkpointing=True,
            **settings,
        )

    whole, resumed = make(dropout=0.2), make(dropout=0.2)
    trainer = fit_epochs(whole)
    again = fit_epochs(resumed, resume=tmp_path / "epoch=3.ckpt")
    assert len(resumed.rates) == STEPS // 2
    assert again.global_step == STEPS
    first, second = (t.optimizers[0].controller.state_dict() for t in (trainer, again))
    torch.testing.assert_close(first, second, rtol=0, atol=0)
    assert_close(whole, resumed, rtol=0, atol=0)


class Unheard(Module):
    def training_step(self, batch, index):
        return self.loss(batch)


def test_the_returned_loss_is_enough_for_training_without_probes(tmp_path):
    module = Unheard()
    trainer = fit(module, tmp_path)
    assert trainer.optimizers[0].controller.forward_evaluations == 0
    assert trainer.global_step == STEPS
    copied = copy.deepcopy(trainer.optimizers[0])
    assert copied.controller.learning_rate == trainer.optimizers[0].param_groups[0]["lr"]
