"""MetaLR in a plain loop: the README's code, scaled and accumulated gradients, groups."""

import subprocess
import sys
from functools import partial

import pytest
import torch
from torch.nn.functional import cross_entropy

from tests.readme import code_blocks, run
from tune_metalr import BatchLoss, BatchLosses, MetaLR

STEPS = 40
EXAMPLE, ACCUMULATION, SCALER, *_ = code_blocks("## MetaLR in your own loop")
GPU = pytest.param(
    "cuda",
    marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
)


def network(device="cpu", dropout=0.1):
    torch.manual_seed(0)
    return torch.nn.Sequential(
        torch.nn.Linear(3, 16), torch.nn.BatchNorm1d(16), torch.nn.ReLU(),
        torch.nn.Dropout(dropout), torch.nn.Linear(16, 2),
    ).to(device)  # fmt: skip


def batch_of(step, device="cpu", size=32):
    inputs = torch.randn(size, 3, generator=torch.Generator().manual_seed(step)).to(device)
    return inputs, (inputs[:, 0] > 0).long()


def loss_of(model, batch):
    return cross_entropy(model(batch[0]), batch[1])


def train(model, metalr, steps=STEPS, *, scaler=None, dtype=None, device="cpu"):
    """Return the losses and then the rates of all steps."""
    losses, rates = [], []
    for step in range(steps):
        batch_loss = BatchLoss(partial(loss_of, model, batch_of(step, device)))
        with torch.autocast(device, dtype=dtype, enabled=dtype is not None):
            loss = batch_loss()
        metalr.optimizer.zero_grad()
        if scaler is None:
            loss.backward()
            metalr.step(loss, batch_loss)
        else:
            scaler.scale(loss).backward()
            scaler.step(metalr, loss, batch_loss)
            scaler.update()
        losses.append(loss.item())
        rates.append(metalr.learning_rate)
    return losses + rates


def assert_learned(course):
    assert sum(course[STEPS - 5 : STEPS]) < 0.7 * sum(course[:5])


def test_the_readmes_example_learns():
    torch.manual_seed(0)
    example = run(EXAMPLE)
    assert example["loss"].item() < 0.1
    assert example["metalr"].forward_evaluations > 5
    assert example["metalr"].learning_rate < 1e-3  # the end of the way down


def test_it_is_as_short_as_it_is_said_to_be():
    assert len(EXAMPLE.strip().splitlines()) <= 16


def accumulated(num_parts, max_norm):
    """Run the README's accumulation on parts of the same batches."""
    model = network(dropout=0.0).double()
    model[1].eval()
    metalr = MetaLR(torch.optim.SGD(model.parameters(), momentum=0.9, lr=0.1), 10)
    for step in range(10):
        inputs, labels = batch_of(step)
        rows = zip(inputs.double().chunk(num_parts), labels.chunk(num_parts), strict=True)
        run(
            ACCUMULATION, torch=torch, partial=partial, BatchLoss=BatchLoss, BatchLosses=BatchLosses,
            model=model,
            optimizer=metalr.optimizer, metalr=metalr, max_norm=max_norm, batches=list(rows),
            loss_of=lambda batch: loss_of(model, batch),
        )  # fmt: skip
    return model, metalr


@pytest.mark.parametrize("max_norm", [1e9, 0.05])
def test_parts_of_a_batch_train_as_the_whole(max_norm):
    whole, first = accumulated(1, max_norm)
    parts, second = accumulated(4, max_norm)
    assert first.forward_evaluations == second.forward_evaluations > 0
    assert second.learning_rate == pytest.approx(first.learning_rate, rel=1e-8)
    for one, other in zip(whole.parameters(), parts.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-8, atol=1e-10)


def test_clipping_that_is_told_leaves_sigma_as_it_was():
    """Clipped by a factor, a rate over that factor is the same step."""

    def sigma(clip, scale):
        model = network(dropout=0.0)
        metalr = MetaLR(torch.optim.SGD(model.parameters(), lr=1.0), 10, initial_lr=1e-2 / clip)
        batch_loss = BatchLoss(partial(loss_of, model, batch_of(0)))
        loss = batch_loss()
        loss.backward()
        for weight in model.parameters():
            weight.grad *= clip
        metalr.step(loss, batch_loss, gradient_scale=scale)
        return metalr.learning_rate * clip, metalr.sigma

    (rate, plain), (clipped_rate, clipped), (_, untold) = (
        sigma(1, 1),
        sigma(0.5, 0.5),
        sigma(0.5, 1),
    )
    assert clipped_rate == pytest.approx(rate)
    assert clipped == pytest.approx(plain, rel=1e-3)
    assert untold != pytest.approx(plain, rel=1e-1)


@pytest.mark.parametrize("device", ["cpu", GPU])
def test_a_scaler_changes_nothing_where_all_is_finite(device):
    plain, scaled = network(device), network(device)
    torch.manual_seed(1)
    course = train(plain, MetaLR(torch.optim.AdamW(plain.parameters()), STEPS), device=device)
    scaler = torch.amp.GradScaler(device, init_scale=2.0**8)
    torch.manual_seed(1)
    metalr = MetaLR(torch.optim.AdamW(scaled.parameters()), STEPS)
    assert train(scaled, metalr, scaler=scaler, device=device) == pytest.approx(course, rel=1e-4)
    assert_learned(course)


def test_a_scaler_leaves_out_a_step_that_is_not_finite():
    model = network()
    metalr = MetaLR(torch.optim.AdamW(model.parameters()), STEPS)
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**8)
    train(model, metalr, 2, scaler=scaler)
    before = [weight.detach().clone() for weight in model.parameters()], metalr.state_dict()
    batch_loss = BatchLoss(partial(loss_of, model, batch_of(2)))
    loss = batch_loss()
    metalr.optimizer.zero_grad()
    model[0].weight.register_hook(lambda gradient: gradient * torch.inf)
    run(SCALER, scaler=scaler, metalr=metalr, loss=loss, batch_loss=batch_loss)
    assert scaler.get_scale() == 2.0**7
    torch.testing.assert_close(metalr.state_dict(), before[1], rtol=0, atol=0)
    assert all(
        torch.equal(one, other) for one, other in zip(before[0], model.parameters(), strict=True)
    )


@pytest.mark.parametrize("device", ["cpu", GPU])
def test_it_learns_in_bfloat16(device):
    model = network(device)
    metalr = MetaLR(torch.optim.AdamW(model.parameters()), STEPS)
    assert_learned(train(model, metalr, dtype=torch.bfloat16, device=device))
    assert metalr.forward_evaluations > 0


@pytest.mark.parametrize("device", ["cpu", GPU])
@pytest.mark.parametrize("make", [torch.optim.AdamW, partial(torch.optim.SGD, momentum=0.9)])
def test_implementations_of_an_optimizer_agree(make, device):
    courses = []
    for implementation in ({"foreach": False}, {"foreach": True}, {"fused": True}):
        model = network(device)
        torch.manual_seed(1)
        metalr = MetaLR(make(model.parameters(), lr=0.1, **implementation), STEPS)
        courses.append(train(model, metalr, device=device))
    assert courses[1] == pytest.approx(courses[0], rel=1e-2)
    assert courses[2] == pytest.approx(courses[0], rel=1e-2)
    assert_learned(courses[0])


def test_groups_keep_their_ratios():
    model = network()
    head = [*model[4].parameters()]
    body = [weight for part in model[:4] for weight in part.parameters()]
    optimizer = torch.optim.AdamW([{"params": body, "lr": 1e-3}, {"params": head, "lr": 4e-3}])
    metalr = MetaLR(optimizer, STEPS)
    assert_learned(train(model, metalr))
    first, second = (group["lr"] for group in optimizer.param_groups)
    assert first == metalr.learning_rate
    assert second == pytest.approx(4 * first)


def test_without_a_closure_the_prior_is_followed():
    model = network()
    metalr = MetaLR(torch.optim.AdamW(model.parameters()), STEPS)
    for step in range(STEPS):
        metalr.optimizer.zero_grad()
        loss = loss_of(model, batch_of(step))
        loss.backward()
        metalr.step(loss)
    assert metalr.forward_evaluations == 0
    assert metalr.scale == 1.0


def test_it_needs_torch_alone() -> None:
    code = (
        "import sys; from tune_metalr import AsOptimizer, BatchLoss, MetaLR; "
        "heavy = {'ray', 'optuna', 'pydantic', 'pandas', 'pyarrow', 'datasets', 'sklearn'}; "
        "sys.exit(' '.join(heavy & set(sys.modules)) or 0)"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert found.returncode == 0, found.stderr
