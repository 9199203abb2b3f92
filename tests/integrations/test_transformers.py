"""MetaLR within the Trainer of Hugging Face: the same training as a loop of one's own."""

from functools import partial

import pytest
import torch

from tests.readme import code_blocks, run
from tune_metalr import AsOptimizer, BatchLoss, MetaLR

REASON = "needs pip install -c constraints.txt -e '.[integrations]'"
transformers = pytest.importorskip("transformers", reason=REASON)
accelerate = pytest.importorskip("accelerate", reason=REASON)

STEPS = 8
PROBES = 4  # of the first eight steps: 0, 1, 3, 7
MAX_NORM = 0.5


MetaLRTrainer = run(
    code_blocks("## MetaLR in your own loop")[-2],
    transformers=transformers, BatchLoss=BatchLoss, partial=partial,
)["MetaLRTrainer"]  # fmt: skip


class Recorded(MetaLRTrainer):
    """The README's, with batches in order, as the loop of one's own takes them."""

    def _get_train_sampler(self, *_):
        return torch.utils.data.SequentialSampler(self.train_dataset)


def language_model(dropout=0.0):
    config = transformers.LlamaConfig(
        vocab_size=16, hidden_size=8, intermediate_size=16, num_hidden_layers=2,
        num_attention_heads=2, max_position_embeddings=16, attention_dropout=dropout,
    )  # fmt: skip
    return transformers.LlamaForCausalLM(config)


class Classifier(torch.nn.Module):
    """No model of the library's: the Trainer divides its loss by the number of accumulated batches."""

    def __init__(self, dropout):
        super().__init__()
        self.body = torch.nn.Sequential(
            torch.nn.Embedding(16, 4), torch.nn.Flatten(), torch.nn.BatchNorm1d(24),
            torch.nn.Dropout(dropout), torch.nn.Linear(24, 3),
        )  # fmt: skip

    def forward(self, input_ids, labels):
        logits = self.body(input_ids)
        return {"loss": torch.nn.functional.cross_entropy(logits, labels), "logits": logits}


def classifier(dropout=0.0):
    return Classifier(dropout)


def build(make, **settings):
    torch.manual_seed(0)
    return make(**settings)


def rows(make):
    generator = torch.Generator().manual_seed(1)
    tokens = torch.randint(0, 16, (2 * STEPS * 4, 6), generator=generator)
    labels = tokens if make is language_model else tokens.sum(1) % 3
    return [{"input_ids": ids, "labels": label} for ids, label in zip(tokens, labels, strict=True)]


def metalr_of(model):
    return MetaLR(torch.optim.AdamW(model.parameters()), STEPS)


def trainer_of(
    make, folder, accumulation, *, dropout=0.0, scheduler=AsOptimizer.scheduler, **settings
):
    model = build(make, dropout=dropout)
    optimizer = AsOptimizer(metalr_of(model))
    arguments = transformers.TrainingArguments(
        output_dir=str(folder), max_steps=STEPS, per_device_train_batch_size=4,
        gradient_accumulation_steps=accumulation, max_grad_norm=MAX_NORM,
        logging_steps=1, report_to=[], disable_tqdm=True, use_cpu=True, seed=0,
        **({"save_strategy": "no"} | settings),
    )  # fmt: skip
    return Recorded(
        model, arguments, train_dataset=rows(make), eval_dataset=rows(make)[:8],
        optimizers=(optimizer, scheduler(optimizer)),
    )  # fmt: skip


def controller_of(trainer):
    return trainer.optimizer.optimizer.controller


def logged(trainer):
    return [
        entry["learning_rate"] for entry in trainer.state.log_history if "learning_rate" in entry
    ]


def loop_of_ones_own(make, accumulation):
    """Return the weights and rates of the same training without a Trainer's loop."""
    model = build(make).train()
    metalr = metalr_of(model)
    data = iter(torch.utils.data.DataLoader(rows(make), batch_size=4))
    rates = []
    for _ in range(STEPS):
        batches = [next(data) for _ in range(accumulation)]
        parts = [BatchLoss(lambda batch=batch: model(**batch)["loss"]) for batch in batches]
        metalr.optimizer.zero_grad()
        losses = [part() / accumulation for part in parts]
        for loss in losses:
            loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(model.parameters(), MAX_NORM)
        metalr.step(
            sum(losses).detach(),
            lambda parts=parts: sum(part() / accumulation for part in parts),
            gradient_scale=min(1.0, MAX_NORM / (float(norm) + 1e-6)),
        )
        rates.append(metalr.learning_rate)
    return model, rates, metalr


def assert_close(first, second, **tolerance):
    for one, other in zip(first.parameters(), second.parameters(), strict=True):
        torch.testing.assert_close(one, other, **tolerance)


@pytest.mark.parametrize("accumulation", [1, 2])
@pytest.mark.parametrize("make", [language_model, classifier])
def test_it_trains_as_a_loop_of_ones_own(make, accumulation, tmp_path):
    trainer = trainer_of(make, tmp_path, accumulation)
    trainer.train()
    model, rates, metalr = loop_of_ones_own(make, accumulation)
    assert trainer.state.global_step == STEPS
    assert logged(trainer) == pytest.approx(rates, rel=1e-6)
    controller = controller_of(trainer)
    assert controller.forward_evaluations == metalr.forward_evaluations == PROBES
    assert controller.sigma == pytest.approx(metalr.sigma, abs=1e-2)
    assert_close(trainer.model, model, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("make", [language_model, classifier])
def test_a_checkpoint_goes_on_bit_for_bit(make, tmp_path):
    settings = {"save_strategy": "steps", "save_steps": 4}
    whole = trainer_of(make, tmp_path, 2, dropout=0.2, **settings)
    whole.train()
    resumed = trainer_of(make, tmp_path, 2, dropout=0.2, **settings)
    resumed.train(resume_from_checkpoint=str(tmp_path / "checkpoint-4"))
    assert logged(resumed) == logged(whole)
    states = (controller_of(trainer).state_dict() for trainer in (resumed, whole))
    torch.testing.assert_close(*states, rtol=0, atol=0)
    assert_close(resumed.model, whole.model, rtol=0, atol=0)


def test_an_evaluation_in_between_is_no_probe(tmp_path):
    trainer = trainer_of(classifier, tmp_path, 1, eval_strategy="steps", eval_steps=2)
    trainer.train()
    assert controller_of(trainer).forward_evaluations == PROBES


@pytest.mark.parametrize("name", ["constant", "linear"])
def test_a_scheduler_of_its_own_changes_nothing_but_the_log(name, tmp_path):
    plain = trainer_of(classifier, tmp_path, 1)
    plain.train()

    def scheduler(optimizer):
        return transformers.get_scheduler(
            name, optimizer, num_warmup_steps=0, num_training_steps=STEPS
        )

    beside = trainer_of(classifier, tmp_path, 1, scheduler=scheduler)
    beside.train()
    assert_close(plain.model, beside.model, rtol=0, atol=0)
    assert logged(beside)[0] == 1e-3


def test_the_scaler_of_accelerate_leaves_a_step_out():
    accelerate.Accelerator(cpu=True)
    model = build(classifier)
    optimizer = AsOptimizer(metalr_of(model))
    scaler = torch.amp.GradScaler("cpu", init_scale=4.0)
    wrapped = accelerate.optimizer.AcceleratedOptimizer(optimizer, scaler=scaler)
    batch = torch.utils.data.default_collate(rows(classifier)[:4])
    for factor in (torch.inf, 1.0):
        batch_loss = BatchLoss(lambda: model(**batch)["loss"])
        loss = batch_loss()
        optimizer.hear(loss, batch_loss)
        scaler.scale(loss * factor).backward()
        wrapped.step()
        wrapped.zero_grad()
        assert wrapped.step_was_skipped == (factor == torch.inf)
    assert optimizer.controller.state_dict()["step"] == 1
    assert optimizer.controller.forward_evaluations == 1
