"""Trainings that take no time: a quadratic to work out by hand, and a network with all that hurts."""

import io

import torch

from tune_metalr.batch_loss import BatchLoss


class Quadratic:
    """f(w) = sum h w^2 / 2, in float64."""

    def __init__(self, curvatures=(1.0, 10.0), start=1.0):
        self.curvatures = torch.tensor(curvatures, dtype=torch.float64)
        self.weight = torch.nn.Parameter(torch.full_like(self.curvatures, start))

    def loss(self):
        return (self.curvatures * self.weight**2).sum() / 2

    def value(self):
        return self.loss().item()

    def train(self, controller, steps, *, has_closure=True):
        """Return the rates of the steps."""
        rates = []
        for _ in range(steps):
            controller.optimizer.zero_grad()
            batch_loss = BatchLoss(self.loss)
            loss = batch_loss()
            loss.backward()
            controller.step(loss, batch_loss if has_closure else None)
            rates.append(controller.learning_rate)
        return rates


class SmallNetwork:
    """Batch normalisation and dropout; every step's batch and dropout follow from its number."""

    def __init__(self):
        with torch.random.fork_rng():
            torch.manual_seed(0)
            self.model = torch.nn.Sequential(
                torch.nn.Linear(3, 8),
                torch.nn.BatchNorm1d(8),
                torch.nn.Dropout(0.25),
                torch.nn.Linear(8, 2),
            )

    def batch_loss(self, step):
        generator = torch.Generator().manual_seed(step)
        inputs = torch.randn(16, 3, generator=generator)
        torch.manual_seed(step)
        return BatchLoss(lambda: ((self.model(inputs) - inputs[:, :2]) ** 2).mean())

    def train(self, controller, steps, *, first=0):
        """Return the rates of the steps."""
        rates = []
        for step in range(first, first + steps):
            controller.optimizer.zero_grad()
            batch_loss = self.batch_loss(step)
            loss = batch_loss()
            loss.backward()
            controller.step(loss, batch_loss)
            rates.append(controller.learning_rate)
        return rates

    def bits(self):
        return [tensor.detach().clone() for tensor in self.model.state_dict().values()]


def same(first, second):
    return all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


def through_a_file(state):
    buffer = io.BytesIO()
    torch.save(state, buffer)
    buffer.seek(0)
    return torch.load(buffer, weights_only=True)


def resumes_bit_for_bit(build, *, done, to_come):
    """Return whether a training that is stopped and built anew is the one that went on.

    The first goes on between saving and loading, which must not change what was saved.
    """
    whole, stopped, resumed = SmallNetwork(), SmallNetwork(), SmallNetwork()
    controllers = [build(training.model.parameters()) for training in (whole, stopped, resumed)]
    rates = whole.train(controllers[0], done + to_come)
    stopped.train(controllers[1], done)
    state = {
        "model": {name: t.clone() for name, t in stopped.model.state_dict().items()},
        "optimizer": through_a_file(controllers[1].optimizer.state_dict()),
        "controller": controllers[1].state_dict(),
    }
    stopped.train(controllers[1], 3, first=done)
    state = through_a_file(state)
    resumed.model.load_state_dict(state["model"])
    controllers[2].optimizer.load_state_dict(state["optimizer"])
    controllers[2].load_state_dict(state["controller"])
    begins_right = done == 0 or controllers[2].learning_rate == rates[done - 1]
    goes_on = resumed.train(controllers[2], to_come, first=done) == rates[done:]
    return begins_right and goes_on and same(whole.bits(), resumed.bits())
