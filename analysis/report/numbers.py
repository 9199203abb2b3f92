"""Every number of a report, computed once: what sections only arrange."""

from typing import NamedTuple

import pandas as pd

from analysis import provenance
from analysis.catching_up import Answers, catching_up
from analysis.comparison import Family, compare_methods
from analysis.overall import Overall, overall
from analysis.provenance import Recorded, Spent, period, spent_by_role, versions
from analysis.reaching import Reached, WorkloadProfile, reached_by_epoch, workload_profiles
from analysis.report.study_data import StudyData
from analysis.samplers import (
    BestSoFar,
    Found,
    Pair,
    SamplerRanks,
    best_so_far,
    found_by_samplers,
    pairs_of_samplers,
    ranks_over_spaces,
)
from analysis.scores import floors, with_scores
from analysis.searches import TunedBaseline, tuned_baselines
from analysis.sensitivity import Sensitivity, sensitivities
from analysis.speed import MethodSpeed, Profile, profile, times_to_target
from analysis.summary import MethodSummary, summarize
from analysis.tuning_curves import TuningCurves, tuning_curves
from tune_metalr.errors import UserError
from tune_metalr.trial import Role


class Numbers(NamedTuple):
    """What can be told of a study, section by section."""

    summaries: list[MethodSummary]
    controllers: dict[str, str]
    """Of each untuned method that has run."""
    baselines: list[TunedBaseline]
    answers: Answers
    curves: list[TuningCurves]
    family: Family | None
    why_no_family: str
    """Why nothing is compared; empty if something is."""
    overall: Overall | None
    speeds: list[MethodSpeed]
    profile: Profile
    reached: list[Reached]
    workload_profiles: list[WorkloadProfile]
    sensitivities: list[Sensitivity]
    best_so_far: list[BestSoFar]
    found: list[Found]
    pairs: list[Pair]
    sampler_ranks: SamplerRanks | None
    versions: list[Recorded]
    spent: list[Spent]
    period: tuple[str, str] | None


def compute(data: StudyData) -> Numbers:
    """Compute what the sections show.

    Raises:
        UserError: A search has two proposals of one index, or a method two trials of one seed.
    """
    trials, searches = data.trials, data.searches
    floor = floors(trials, searches)
    scored = [with_scores(frame, floor) for frame in (trials, searches)]
    baselines = tuned_baselines(searches, trials, floor)
    family, why_no_family = _family(data)
    speeds = times_to_target(trials)
    found = found_by_samplers(baselines)
    recorded = _recorded(data)
    return Numbers(
        summaries=summarize(trials),
        controllers=_controllers(data),
        baselines=baselines,
        answers=catching_up(trials, searches, baselines),
        curves=tuning_curves(baselines, floor),
        family=family,
        why_no_family=why_no_family,
        overall=overall(trials, family.reference, alpha=data.choices.alpha) if family else None,
        speeds=speeds,
        profile=profile(speeds),
        reached=reached_by_epoch(trials),
        workload_profiles=workload_profiles(speeds),
        sensitivities=sensitivities(*scored),
        best_so_far=best_so_far(baselines),
        found=found,
        pairs=pairs_of_samplers(found),
        sampler_ranks=ranks_over_spaces(found, alpha=data.choices.alpha),
        versions=versions(recorded),
        spent=spent_by_role(recorded),
        period=period(recorded),
    )


def _family(data: StudyData) -> tuple[Family | None, str]:
    try:
        return compare_methods(data.trials, data.choices), ""
    except UserError as error:
        return None, str(error)


def _controllers(data: StudyData) -> dict[str, str]:
    untuned = data.trials[data.trials["role"] == Role.BASELINE].dropna(subset=["controller"])
    return dict(zip(untuned["method"], untuned["controller"], strict=True))


def _recorded(data: StudyData) -> pd.DataFrame:
    """Return every recorded trial once, with its role."""
    searched = data.searches.assign(role=Role.SEARCH)
    names = list(dict.fromkeys([*provenance.COLUMNS, "trial_id", "role"]))
    frames = [frame[names] for frame in (data.trials, searched) if len(frame)]
    if not frames:
        return data.trials[names]
    return pd.concat(frames, ignore_index=True).drop_duplicates("trial_id")
