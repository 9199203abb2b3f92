"""The loss of one batch, as often as wanted: with the same dropout, and without a trace."""

import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, NamedTuple

import torch
from torch.nn.modules.module import register_module_forward_pre_hook
from torch.nn.parameter import is_lazy

Closure = Callable[[], torch.Tensor]
"""Evaluates the mean loss of the current batch."""


class BatchLoss:
    """The loss of one batch: the first call is the forward pass of training.

    Every later call evaluates the same batch at whatever the weights are then: without gradients,
    with the random numbers of the first call, so that dropout drops the same units, and in its
    `autocast`; and it leaves random streams and buffers, such as batch normalisation's statistics,
    as they were.

        batch_loss = BatchLoss(lambda: loss_function(model(inputs), labels))
        loss = batch_loss()
        loss.backward()
        controller.step(loss, batch_loss)
    """

    def __init__(self, compute: Closure) -> None:
        self._compute = compute
        self._first: _Circumstances | None = None

    @property
    def was_called(self) -> bool:
        """Whether the forward pass of training has taken place."""
        return self._first is not None

    @property
    def is_low_precision(self) -> bool:
        """Whether the first call took place in an `autocast`, whose losses are coarse."""
        return self._first is not None and any(each.enabled for each in self._first.autocasts)

    def __call__(self) -> torch.Tensor:
        """Return the mean loss of the batch, a scalar."""
        if self._first is None:
            circumstances = _Circumstances(_RandomState.now(), _autocasts())
            loss = self._compute()
            self._first = circumstances
            return loss
        with _without_a_trace(), ExitStack() as autocasts:
            self._first.random_state.restore()
            for autocast in self._first.autocasts:
                autocasts.enter_context(torch.autocast(**autocast._asdict()))
            return self._compute()


class BatchLosses:
    """The mean loss of several batches, of which gradients were accumulated.

    metalr.step(mean_of_their_losses, BatchLosses(parts))
    """

    def __init__(self, parts: Sequence[Closure], shares: Sequence[float] | None = None) -> None:
        """Take the loss of each batch, best a `BatchLoss` that was called, and its share."""
        if not parts:
            raise ValueError("BatchLosses needs the loss of at least one batch")
        self._parts = parts
        self._shares = [1 / len(parts)] * len(parts) if shares is None else shares

    @property
    def is_low_precision(self) -> bool:
        """Whether one of the losses is."""
        return any(is_low_precision(part) for part in self._parts)

    def __call__(self) -> torch.Tensor:
        """Return the mean loss, a scalar, at the current weights."""
        losses = [part() * share for part, share in zip(self._parts, self._shares, strict=True)]
        return torch.stack(losses).sum()


def is_low_precision(closure: Closure) -> bool:
    """Return whether a loss is known to be made of 16-bit numbers."""
    return isinstance(closure, BatchLoss | BatchLosses) and closure.is_low_precision


def evaluate_again(closure: Closure) -> float:
    """Return the loss at the current weights, leaving no trace.

    A closure that is no `BatchLoss`, or one that was not called for training, draws random numbers
    of its own: with dropout, its loss is that of another network than the gradients'.
    """
    try:
        if isinstance(closure, BatchLoss) and closure.was_called:
            return float(closure())
        with _without_a_trace():
            return float(closure())
    except Exception as error:
        error.add_note(
            "The loss was called again to look at a step, without gradients: a loss that takes "
            "gradients itself must do so within torch.enable_grad()."
        )
        raise


class _RandomState(NamedTuple):
    """Torch's random streams: of the CPU, and of each CUDA device in use."""

    cpu: torch.Tensor
    cuda: list[torch.Tensor]

    @classmethod
    def now(cls) -> "_RandomState":
        is_used = torch.cuda.is_initialized()  # type: ignore[no-untyped-call]
        return cls(torch.get_rng_state(), torch.cuda.get_rng_state_all() if is_used else [])

    def restore(self) -> None:
        torch.set_rng_state(self.cpu)
        if self.cuda:
            torch.cuda.set_rng_state_all(self.cuda)


class _Autocast(NamedTuple):
    """What `torch.autocast` is entered with."""

    device_type: str
    dtype: torch.dtype
    enabled: bool


def _autocasts() -> list[_Autocast]:
    """Return those in force: a framework leaves its own before the optimizer steps."""
    is_used = torch.cuda.is_initialized()  # type: ignore[no-untyped-call]
    return [
        _Autocast(kind, torch.get_autocast_dtype(kind), torch.is_autocast_enabled(kind))
        for kind in (("cpu", "cuda") if is_used else ("cpu",))
    ]


class _Circumstances(NamedTuple):
    """In what the first evaluation took place."""

    random_state: _RandomState
    autocasts: list[_Autocast]


@contextmanager
def _without_a_trace() -> Iterator[None]:
    """Evaluate without gradients; random streams and buffers are put back afterwards."""
    random_state = _RandomState.now()
    with torch.no_grad(), _kept_buffers(), _own_autocast_cache(), _nothing_compiled():
        try:
            yield
        finally:
            random_state.restore()


@contextmanager
def _own_autocast_cache() -> Iterator[None]:
    """Let no cast weight in or out, where all of this is within one `autocast` block.

    Those within are of the weights before the step; those made here have no gradient.
    """
    torch.clear_autocast_cache()
    try:
        yield
    finally:
        torch.clear_autocast_cache()


@contextmanager
def _nothing_compiled() -> Iterator[None]:
    """Run what `torch.compile` has compiled as it is written: hooks would have it compiled anew."""
    if "torch._dynamo" not in sys.modules:  # nothing is compiled; loading it takes seconds
        yield
        return
    with torch.compiler.set_stance("force_eager"), warnings.catch_warnings():
        # That hooks are called once more for the compiled module is no matter to ours.
        warnings.filterwarnings("ignore", message=r"Using `torch.compile\(module\)` when there are")
        yield


@contextmanager
def _kept_buffers() -> Iterator[None]:
    """Put back the buffers of every module that is called within, and of its children.

    Found by a hook on all modules: a loss is a function, which does not tell its model.
    """
    kept: dict[int, _Buffers] = {}

    def keep(module: torch.nn.Module, inputs: Any) -> None:
        if id(module) not in kept:
            for part in module.modules():
                kept.setdefault(id(part), _Buffers.of(part))

    hook = register_module_forward_pre_hook(keep)
    try:
        yield
    finally:
        hook.remove()
        for buffers in kept.values():
            buffers.restore()


class _Buffers(NamedTuple):
    """The buffers of one module without its children, and what was in them."""

    module: torch.nn.Module
    tensors: dict[str, torch.Tensor | None]
    values: dict[str, torch.Tensor]

    @classmethod
    def of(cls, module: torch.nn.Module) -> "_Buffers":
        tensors = dict(module._buffers)
        values = {
            name: tensor.clone()
            for name, tensor in tensors.items()
            if tensor is not None and _can_be_written(tensor)
        }
        return cls(module, tensors, values)

    def restore(self) -> None:
        """Put the same tensors back, with the same values: some modules write, some replace."""
        for name, tensor in self.tensors.items():
            if self.module._buffers.get(name) is not tensor:
                self.module._buffers[name] = tensor
            if tensor is not None and name in self.values:
                tensor.copy_(self.values[name])


def _can_be_written(tensor: torch.Tensor) -> bool:
    """Return False for what torch refuses to write in place: expanded, or without a shape yet."""
    if is_lazy(tensor):
        return False
    if tensor.layout is not torch.strided:
        return True
    sizes = zip(tensor.shape, tensor.stride(), strict=True)
    return all(stride > 0 or size <= 1 for size, stride in sizes)
