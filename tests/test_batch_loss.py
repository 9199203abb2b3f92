"""A batch's loss evaluated again: the same network, and no trace of it."""

import copy
from functools import partial

import pytest
import torch
from torch.nn.functional import mse_loss

from tune_metalr import BatchLoss, BatchLosses
from tune_metalr.batch_loss import evaluate_again


class Model(torch.nn.Module):
    """Dropout and batch normalisation, nested; buffers of every kind."""

    def __init__(self):
        super().__init__()
        self.body = torch.nn.Sequential(
            torch.nn.Linear(3, 16),
            torch.nn.Sequential(torch.nn.BatchNorm1d(16), torch.nn.Dropout(0.5)),
        )
        self.head = torch.nn.Linear(16, 1)
        self.register_buffer("calls", torch.zeros(()))
        self.register_buffer("mean", torch.zeros(()))
        self.register_buffer("empty", None)
        self.register_buffer("expanded", torch.zeros(1).expand(4))
        self.register_buffer("sparse", torch.eye(2).to_sparse())

    def forward(self, inputs):
        self.calls.data += 1  # in place, unseen by autograd
        self.mean = 0.9 * self.mean + 0.1 * inputs.mean()  # another tensor
        return self.head(self.body(inputs))


@pytest.fixture
def model():
    torch.manual_seed(0)
    return Model()


@pytest.fixture
def loss(model):
    """A function that evaluates the mean loss of one batch."""
    inputs, targets = torch.randn(8, 3), torch.randn(8, 1)
    return lambda: mse_loss(model(inputs), targets)


def trace(model):
    """Return everything that an evaluation might change, with the identity of buffers."""
    tensors = [value.to_dense().clone() for value in model.state_dict().values()]
    gradients = [weight.grad for weight in model.parameters()]
    buffers = [id(buffer) for module in model.modules() for buffer in module._buffers.values()]
    return tensors, gradients, buffers, torch.get_rng_state()


def assert_same(first, second):
    for before, after in zip(first, second, strict=True):
        if isinstance(before, list):
            assert_same(before, after)
        elif isinstance(before, torch.Tensor):
            assert torch.equal(before, after)
        else:
            assert before == after


def test_the_first_call_is_training_itself(model, loss):
    plain = copy.deepcopy(model)
    inputs = torch.randn(8, 3)
    torch.manual_seed(5)
    expected = plain(inputs).mean()
    torch.manual_seed(5)
    first = BatchLoss(lambda: model(inputs).mean())()
    assert torch.equal(first, expected)
    assert first.requires_grad
    assert_same(trace(model)[0], trace(plain)[0])
    assert torch.equal(model.calls, torch.ones(()))


def test_dropout_drops_the_same_units_again(model, loss):
    batch_loss = BatchLoss(loss)
    first = batch_loss()
    torch.randn(7)  # the stream has gone on meanwhile
    assert all(torch.equal(batch_loss(), first) for _ in range(3))
    assert not torch.equal(loss(), first)
    assert evaluate_again(batch_loss) == first.item()


def test_it_is_evaluated_at_the_weights_of_now(model, loss):
    batch_loss = BatchLoss(loss)
    first = batch_loss()
    first.backward()
    with torch.no_grad():
        for weight in model.parameters():
            weight -= 1e-2 * weight.grad
    assert batch_loss() < first


@pytest.mark.parametrize("wrap", [BatchLoss, lambda loss: partial(evaluate_again, loss)])
@pytest.mark.parametrize("is_training", [True, False])
def test_no_trace_is_left(model, loss, wrap, is_training):
    model.train(is_training)
    again = wrap(loss)
    again()
    before = trace(model)
    again()
    assert_same(before, trace(model))
    assert model.training == is_training


def test_a_batch_loss_that_was_never_called_leaves_no_trace_either(model, loss):
    before = trace(model)
    evaluate_again(BatchLoss(loss))
    assert_same(before, trace(model))


def test_batch_losses_need_a_batch():
    with pytest.raises(ValueError, match="at least one batch"):
        BatchLosses([])


def test_a_compiled_model_is_compiled_once():
    compilations = []

    def backend(graph, _):
        compilations.append(graph)
        return graph.forward

    compiled = torch.compile(torch.nn.Linear(3, 1), backend=backend, fullgraph=True)
    for _ in range(12):  # more than torch's limit on compilations
        batch_loss = BatchLoss(lambda: compiled(torch.ones(2, 3)).mean())
        loss = batch_loss()
        assert evaluate_again(batch_loss) == pytest.approx(float(loss.detach()))
    assert len(compilations) == 1


def test_no_trace_is_left_by_a_failure(model):
    def fail():
        model(torch.randn(8, 3))
        raise ArithmeticError

    before = trace(model)
    with pytest.raises(ArithmeticError):
        evaluate_again(fail)
    assert_same(before, trace(model))
    model(torch.randn(8, 3))  # no hook is left either
    assert model.calls == 1


def test_a_first_call_that_fails_may_be_made_again(model, loss):
    outcomes = iter([MemoryError, None])

    def compute():
        if next(outcomes, None):
            raise MemoryError
        return loss()

    batch_loss = BatchLoss(compute)
    with pytest.raises(MemoryError):
        batch_loss()
    assert batch_loss().requires_grad


def test_no_gradient_is_made(model, loss):
    batch_loss = BatchLoss(loss)
    batch_loss()
    again = batch_loss()
    assert not again.requires_grad
    assert all(weight.grad is None for weight in model.parameters())
    assert torch.is_grad_enabled()


def test_children_without_a_shape_are_left_alone(model, loss):
    model.never_called = torch.nn.LazyBatchNorm1d()
    assert evaluate_again(loss) > 0


@pytest.mark.parametrize("is_outside", [True, False])
def test_autocast_is_that_of_the_first_call(model, loss, is_outside):
    with torch.no_grad():
        full = BatchLoss(loss)
        torch.manual_seed(1)
        full()

    def short():
        with torch.autocast("cpu", dtype=torch.bfloat16):
            return loss()

    torch.manual_seed(1)
    if is_outside:
        batch_loss = BatchLoss(loss)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            first = batch_loss()
    else:
        batch_loss = BatchLoss(short)
        first = batch_loss()
    assert torch.equal(batch_loss(), first)
    assert not torch.equal(full(), first)
    assert not torch.is_autocast_enabled("cpu")


def test_a_loss_in_float32_stays_so_where_autocast_has_begun(loss):
    batch_loss = BatchLoss(loss)
    first = batch_loss()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(batch_loss(), first)
        assert torch.is_autocast_enabled("cpu")


def test_weights_that_autocast_has_cast_are_cast_anew():
    """All of a step in one block, as frameworks do it: casts are remembered until its end."""
    layer = torch.nn.Linear(2, 1)
    batch_loss = BatchLoss(lambda: layer(torch.ones(1, 2)).sum())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        batch_loss()
        with torch.no_grad():
            layer.weight.zero_()
            layer.bias.fill_(3.0)
        assert batch_loss() == 3.0
        layer(torch.ones(1, 2)).sum().backward()
    assert layer.weight.grad is not None


def test_micro_batches_add_up_to_the_whole():
    torch.manual_seed(0)
    layer = torch.nn.Linear(3, 1)
    inputs, targets = torch.randn(8, 3), torch.randn(8, 1)
    parts = [
        BatchLoss(lambda rows=rows: mse_loss(layer(inputs[rows]), targets[rows]))
        for rows in (slice(0, 4), slice(4, 8))
    ]
    for part in parts:
        part()
    whole = mse_loss(layer(inputs), targets).item()
    assert evaluate_again(lambda: sum(part() for part in parts) / 2) == pytest.approx(whole)


def test_micro_batches_keep_their_masks_and_leave_no_trace(model):
    batches = [torch.randn(8, 3) for _ in range(3)]
    parts = [BatchLoss(lambda batch=batch: model(batch).square().mean()) for batch in batches]
    mean = torch.stack([part() for part in parts]).mean().item()
    before = trace(model)
    assert evaluate_again(lambda: sum(part() for part in parts) / 3) == pytest.approx(mean)
    assert_same(before, trace(model))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_streams_of_the_gpu_are_kept_too():
    inputs = torch.ones(64, device="cuda")
    batch_loss = BatchLoss(lambda: torch.nn.functional.dropout(inputs).sum())
    first = batch_loss()
    before = torch.cuda.get_rng_state()
    assert torch.equal(batch_loss(), first)
    assert torch.equal(torch.cuda.get_rng_state(), before)
