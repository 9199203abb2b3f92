"""What MetaLR has learned on tasks of its own, and what each of its parts is worth there."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from analysis.report.table import markdown_table

PAGE = Path("analysis/meta-training/README.md")
SHIPPED = "shipped"
_PACKAGE = Path("tune_metalr/metalr")
_ALWAYS_ON = ("probe", "guard")

Json = Mapping[str, Any]


class Training(NamedTuple):
    """What one training has written."""

    name: str
    prior: Json
    """Laws, and the record of how they were found."""
    verdicts: Json


def trainings(root: Path) -> list[Training]:
    """Read the training that the package has, and those beside it.

    Args:
        root: Of the repository.
    """
    others = sorted(path.parent for path in (root / PAGE).parent.glob("*/prior.json"))
    folders = {SHIPPED: root / _PACKAGE} | {folder.name: folder for folder in others}
    return [
        Training(name, _read(folder / "prior.json"), _read(folder / "verdicts.json"))
        for name, folder in folders.items()
        if (folder / "prior.json").is_file()
    ]


def meta_training_page(found: Sequence[Training]) -> str:
    """Return the page in Markdown."""
    return "\n\n".join(_page(found)) + "\n"


def _read(file: Path) -> Json:
    content: Json = json.loads(file.read_text(encoding="utf-8"))
    return content


def _page(found: Sequence[Training]) -> Iterator[str]:
    yield "# What MetaLR has learned, and what its parts are worth"
    yield (
        "`python -m analysis.publishing` makes this page from what `tune-metalr meta-train` has "
        "written. *Regret* is the share of what a run could win over guessing that it does not "
        "win: 0 is the best that any setting of the grid has, 1 is guessing. In brackets: 95 % "
        "intervals over families of tasks."
    )
    yield _table(
        ("training", "runs of the grid", "seeds", "CPU-hours", "not run", "command", "commit"),
        [_training_row(each) for each in found],
    )
    for optimizer in found[0].prior["families"]:
        yield f"## {optimizer}"
        yield from _of_optimizer(found, optimizer)


def _of_optimizer(found: Sequence[Training], optimizer: str) -> Iterator[str]:
    yield _table(
        ("training", "peak rate", "warm-up", "decay", "regret", "where left out", "refined"),
        [_law_row(each, optimizer) for each in found],
    )
    yield from (_beside(each, optimizer) for each in found if "beside" in each.verdicts[optimizer])
    for each in found:
        yield f"### {optimizer}, {each.name}: families of tasks that were left out"
        yield _left_out(each, optimizer)
        yield f"### {optimizer}, {each.name}: parts"
        yield _parts(each, optimizer)
        yield f"### {optimizer}, {each.name}: what features tell of the best rate there"
        yield _features(each, optimizer)


def _training_row(each: Training) -> list[str]:
    record = each.prior["record"]
    return [
        each.name,
        str(record["runs"]),
        ", ".join(map(str, record["seeds"])),
        f"{record['seconds'] / 3600:.1f}",
        ", ".join(record.get("unfinished", ())) or "-",
        f"`{record['command']}`",
        record["commit"][:7],
    ]


def _law_row(each: Training, optimizer: str) -> list[str]:
    fit = each.prior["record"]["fits"][optimizer]
    refined = fit.get("refined")
    told = "not run"
    if refined is not None:
        taken = "taken" if refined["pays"] else f"not taken: {_law(refined['law'])}"
        told = f"saves {_gain(refined['gain'])}; {taken}"
    left_out = [one["regret_there"] for one in fit["left_out"].values()]
    return [
        each.name,
        *_law_cells(each.prior["families"][optimizer]),
        _number(fit["mean_regret"]),
        _number(sum(left_out) / len(left_out)),
        told,
    ]


def _beside(each: Training, optimizer: str) -> str:
    beside = each.verdicts[optimizer]["beside"]
    other, gain = beside["law"], beside["saves"]
    if other == each.prior["families"][optimizer]:
        return f"The law of {each.name} is that of the training that it was compared with."
    told = "not run yet" if gain is None else f"it saves {_gain(gain)} of regret with fresh seeds"
    return f"The law of {each.name} beside that of another training, {_law(other)}: {told}."


def _left_out(each: Training, optimizer: str) -> str:
    fit = each.prior["record"]["fits"][optimizer]
    has_usual = "adamw_constant" in fit
    head = ["family", "peak rate by the others", "warm-up", "decay", "regret there", "one rate"]
    rows = []
    for family, one in fit["left_out"].items():
        row = [family, *_law_cells(one)]
        row += map(_number, (one["regret_there"], one["single_rate_regret_there"]))
        rows.append(row + ([_number(one["adamw_constant_regret_there"])] if has_usual else []))
    return _table(head + (["AdamW at 1e-3"] if has_usual else []), rows)


def _parts(each: Training, optimizer: str) -> str:
    ablation = each.verdicts[optimizer]["ablation"]
    if not ablation["saves"]:
        return f"Not run yet: {ablation['runs']} of {ablation['planned_runs']} runs."
    has_residual = optimizer in each.prior["residuals"]
    is_on = {*_ALWAYS_ON, *(["residual"] if has_residual else [])}
    rows = [
        [
            part,
            _gain(gain),
            _gain(ablation["saves_over_prior"][part]),
            "yes" if gain[1] > 0 else "no" if gain[2] < 0 else "undecided",
            "on" if part in is_on else "off",
        ]
        for part, gain in ablation["saves"].items()
    ]
    head = ("part", "saves", "with those before it, over the prior", "does it pay?", "in MetaLR")
    return _table(head, rows)


def _features(each: Training, optimizer: str) -> str:
    verdict = each.verdicts[optimizer]
    passes = {name: gate["passes"] for name, gate in verdict["gates"].items()}
    words = {None: "not judged", True: "passes", False: "fails"}
    rows = []
    for one in verdict["predictions"]:
        if one["target"] == "rate":
            feature = one["inputs"].removeprefix("horizon, ")
            gate = words[passes[feature]] if feature in passes else "-"
            rows.append([one["inputs"], gate, _number(one["explained"]), _number(one["regret"])])
    gain = verdict["gain"]
    told = "could not be judged" if gain is None else f"saves {_gain(gain)} of regret there"
    table = _table(("inputs", "gate", "R2", "regret"), rows)
    return f"{table}\n\nA residual on those that pass {told}."


def _law_cells(law: Json) -> list[str]:
    rate = f"{law['rate_at_1000_steps']:g}"
    for name, unit in (("rate_exponent", "steps / 1000"), ("width_exponent", "width / 100")):
        rate += f" ({unit})^{law[name]:g}" if law[name] else ""
    return [rate, f"{law['warmup_fraction']:g}", f"{law['weight_decay']:g}"]


def _law(law: Json) -> str:
    return "{}, warm-up {}, decay {}".format(*_law_cells(law))


def _gain(gain: Sequence[float]) -> str:
    return "{:.4f} \\[{:.4f}, {:.4f}\\]".format(*gain)


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    return markdown_table(head, rows, is_text=[True] * len(head))
