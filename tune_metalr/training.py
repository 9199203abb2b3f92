"""The training loop of one trial: torch only; it knows neither ray nor files.

Everything random is drawn from streams named by (workload, seed, epoch), so that a run that is
resumed at an epoch's end gives the same numbers as one that was never stopped.
"""

import itertools
import math
import random
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch
from torch.nn.modules.batchnorm import _BatchNorm
from torch.optim.swa_utils import update_bn

from tune_metalr.batch_loss import BatchLoss
from tune_metalr.methods.build import build_controller, build_optimizer
from tune_metalr.seeds import derive_seed
from tune_metalr.trial import Status, Trial
from tune_metalr.workloads.task import Batch, Task

DIVERGENCE_MULTIPLE = 5.0
"""A mean epoch loss above this multiple of chance loss counts as divergence."""

REFRESH_BATCHES = 50
"""Batches from which batch statistics are taken anew, as Schedule-Free's authors do."""


class Score(NamedTuple):
    """What an evaluation gives."""

    loss_nats: float
    """Mean over examples."""
    accuracy: float


class EpochLoss(NamedTuple):
    """What training on some batches gives."""

    loss_nats: float
    """Mean over examples, each at the weights it met; not finite if that of any step was not, but
    for steps that the controller refused to take."""
    steps: int


class Training:
    """One trial in the making: `run_epoch` until `is_over`, then `finish`."""

    def __init__(self, trial: Trial, task: Task) -> None:
        torch.set_num_threads(trial.threads)
        self.trial = trial
        self._task = task
        self._first_epoch = trial.inherited_epochs or 0
        self._model = task.build_model()
        self._optimizer = build_optimizer(trial, self._model.parameters())
        self._controller = build_controller(
            trial, self._optimizer, total_steps=max(1, trial.epochs * task.steps_per_epoch)
        )
        self._clip_norm: float | None = trial.hyperparameters.get("clip_norm")
        self._record: dict[str, Any] = {
            "train_loss_curve_nats": [],
            "validation_loss_curve_nats": [],
            "validation_accuracy_curve": [],
            "epoch_seconds": [],
            "learning_rates": [],
            "evaluation_seconds": 0.0,
            "probe_seconds": 0.0,
            "refresh_batches": 0,
            "cpu_seconds": 0.0,
            "divergence": None,
            "shortfall": None,
        }

    @property
    def epochs_done(self) -> int:
        """Epochs trained so far, those of its ancestors included."""
        return self._first_epoch + len(self._record["epoch_seconds"])

    @property
    def has_diverged(self) -> bool:
        """Whether training has left the range that makes sense."""
        return self._record["divergence"] is not None

    @property
    def is_over(self) -> bool:
        """Whether the budget is spent, or the trial has diverged or is pruned."""
        return bool(
            self._record["divergence"]
            or self._record["shortfall"]
            or self.epochs_done >= self.trial.epochs
        )

    def run_epoch(self) -> None:
        """Train one epoch, then score the first validation rows."""
        cpu_start = time.process_time()
        epoch = self.epochs_done
        self._seed_epoch(epoch)
        explored = self._controller.explores
        start = time.perf_counter()
        loss_nats = self.train_on(self._task.train_batches(epoch)).loss_nats
        self._record["epoch_seconds"].append(time.perf_counter() - start)
        self._record["train_loss_curve_nats"].append(_finite(loss_nats))
        self._record["divergence"] = self._divergence(None if explored else loss_nats)
        if self._record["divergence"] is None:
            score = self.evaluate(self._task.curve_batches())
            self._record["validation_loss_curve_nats"].append(_finite(score.loss_nats))
            self._record["validation_accuracy_curve"].append(score.accuracy)
            self._controller.end_epoch(score.loss_nats)
            self._record["shortfall"] = self._shortfall(score.accuracy)
        self._record["cpu_seconds"] += time.process_time() - cpu_start

    def train_on(self, batches: Iterable[Batch]) -> EpochLoss:
        """Take one optimizer step on each batch."""
        self._model.train()
        total = torch.zeros((), dtype=torch.float64, device=self._task.device)
        examples, steps = 0, 0
        learning_rates = self._record["learning_rates"]
        for batch in batches:
            self._optimizer.zero_grad(set_to_none=True)
            batch_loss = BatchLoss(partial(self._loss, batch))
            with self._autocast():
                loss = batch_loss()
            loss.backward()  # type: ignore[no-untyped-call]
            skipped = self._controller.skipped_steps
            self._controller.step(loss, batch_loss, gradient_scale=self._clip())
            learning_rates.append(self._controller.learning_rate)
            steps += 1
            if self._controller.skipped_steps == skipped:
                total += loss.detach() * len(batch.labels)
                examples += len(batch.labels)
        mean = float(total) / examples if examples else math.nan
        return EpochLoss(loss_nats=mean, steps=steps)

    def evaluate(self, batches: Iterable[Batch]) -> Score:
        """Score batches with the evaluation weights; training goes on as if it had not been.

        Where the optimizer swaps its weights, that holds up to rounding: it computes them back.
        """
        with self._evaluation_weights():
            return self._score(batches)

    def finish(self) -> dict[str, Any]:
        """Score the whole validation split, then the test split; return outcome, curves, cost.

        A trial that diverged or was pruned has no final score: its metrics are missing, never a
        number.
        """
        cpu_start = time.process_time()
        status = self._status()
        validation = test = None
        if status is Status.COMPLETED:
            with self._evaluation_weights():
                validation = self._score(self._task.validation_batches())
                test = self._score(self._task.test_batches())
        self._record["cpu_seconds"] += time.process_time() - cpu_start
        return self.spent() | {
            "status": status,
            "error": self._record["divergence"] or self._record["shortfall"],
            "validation_accuracy": validation and validation.accuracy,
            "validation_loss_nats": validation and _finite(validation.loss_nats),
            "test_accuracy": test and test.accuracy,
            "test_loss_nats": test and _finite(test.loss_nats),
        }

    def spent(self) -> dict[str, Any]:
        """Return curves and cost so far: every trial is charged, however it ends."""
        steps = len(self._record["learning_rates"])
        return {name: self._record[name] for name in _RECORDED} | {
            "best_epoch": _best_epoch(
                self._record["validation_accuracy_curve"], first=self._first_epoch + 1
            ),
            "epochs_done": self.epochs_done,
            "steps": steps,
            "train_seconds": sum(self._record["epoch_seconds"]),
            "gradient_evaluations": steps,
            "forward_evaluations": self._record["refresh_batches"]
            + self._controller.forward_evaluations,
        }

    def state_dict(self) -> dict[str, Any]:
        """Return everything that `load_state_dict` needs to go on bit for bit."""
        return {
            "model": self._model.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "controller": self._controller.state_dict(),
            "forward_evaluations": self._controller.forward_evaluations,
            "record": self._record,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from the end of the epoch at which `state` was taken."""
        self._model.load_state_dict(state["model"])
        self._optimizer.load_state_dict(state["optimizer"])
        self._controller.load_state_dict(state["controller"])
        self._controller.forward_evaluations = state["forward_evaluations"]
        self._record |= state["record"]

    def inherit(self, state: dict[str, Any]) -> None:
        """Go on from the end of the trial's parent: what that has cost is charged to it alone."""
        self.load_state_dict(state | {"record": {}, "forward_evaluations": 0})

    @contextmanager
    def _evaluation_weights(self) -> Iterator[None]:
        """Put the method's evaluation weights in, with batch statistics that are theirs."""
        with self._controller.evaluation():
            if self._controller.swaps_weights:
                self._refresh_batch_statistics()
            self._model.eval()
            yield

    def _refresh_batch_statistics(self) -> None:
        """Take batch normalisation's statistics anew, on the first batches of the last epoch.

        Those that training kept belong to its own weights. The method is charged.
        """
        if not any(isinstance(part, _BatchNorm) for part in self._model.modules()):
            return
        start = time.perf_counter()
        batches = self._task.train_batches(max(0, self.epochs_done - 1))
        first = list(itertools.islice(batches, REFRESH_BATCHES))
        with self._autocast():
            update_bn(first, self._model)
        self._record["refresh_batches"] += len(first)
        self._record["probe_seconds"] += time.perf_counter() - start

    def _score(self, batches: Iterable[Batch]) -> Score:
        start = time.perf_counter()
        loss, correct, count = 0.0, 0, 0
        with torch.inference_mode(), self._autocast():
            for batch in batches:
                outputs = self._model(batch.inputs)
                loss += float(self._task.loss(outputs, batch.labels)) * len(batch.labels)
                correct += self._task.num_correct(outputs, batch.labels)
                count += len(batch.labels)
        self._record["evaluation_seconds"] += time.perf_counter() - start
        return Score(loss_nats=loss / count, accuracy=correct / count)

    def _loss(self, batch: Batch) -> torch.Tensor:
        return self._task.loss(self._model(batch.inputs), batch.labels)

    def _clip(self) -> float:
        """Clip the whole gradient, where the method does; return the factor that it was given."""
        if self._clip_norm is None:
            return 1.0
        norm = torch.nn.utils.clip_grad_norm_(self._model.parameters(), self._clip_norm)
        return min(1.0, self._clip_norm / (float(norm) + 1e-6))

    def _divergence(self, loss_nats: float | None) -> str | None:
        """Say why training has left the range that makes sense, if it has.

        No loss is given of an epoch in which the controller tried rates that it takes back.
        """
        epoch = self.epochs_done
        limit = DIVERGENCE_MULTIPLE * math.log(self._task.num_classes)
        if self._controller.explores:
            return None
        if loss_nats is not None and not math.isfinite(loss_nats):
            return f"the loss was not finite in epoch {epoch}"
        if not all(bool(torch.isfinite(p).all()) for p in self._model.parameters()):
            return f"a parameter was not finite after epoch {epoch}"
        if loss_nats is not None and loss_nats > limit:
            return f"the mean loss of epoch {epoch} was above {limit:.4g} nats"
        return None

    def _shortfall(self, accuracy: float) -> str | None:
        """Say how the trial falls short of what its search asks for at this epoch, if it does."""
        epoch, minima = self.epochs_done, self.trial.minimum_accuracies or ()
        minimum = minima[epoch - 1] if epoch <= len(minima) else None
        if minimum is None or accuracy >= minimum:
            return None
        return f"validation accuracy {accuracy:.4g} after epoch {epoch} was below {minimum:.4g}"

    def _status(self) -> Status:
        if self._record["divergence"]:
            return Status.DIVERGED
        return Status.PRUNED if self._record["shortfall"] else Status.COMPLETED

    def _seed_epoch(self, epoch: int) -> None:
        """Seed every global stream that a model or an optimizer may draw from."""
        seed = derive_seed("epoch", self.trial.workload, self.trial.seed, epoch)
        torch.manual_seed(seed)
        np.random.seed(seed % 2**32)
        random.seed(seed)

    def _autocast(self) -> Any:
        if self.trial.precision == "bfloat16":
            return torch.autocast(self._task.device.type, dtype=torch.bfloat16)
        return nullcontext()


_RECORDED = (
    "train_loss_curve_nats",
    "validation_loss_curve_nats",
    "validation_accuracy_curve",
    "epoch_seconds",
    "learning_rates",
    "evaluation_seconds",
    "probe_seconds",
    "cpu_seconds",
)


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _best_epoch(accuracies: list[float], *, first: int) -> int | None:
    return first + accuracies.index(max(accuracies)) if accuracies else None
