"""A study goes on after trials that kill their workers, and stops where every worker dies."""

from tune_metalr.given_up import GivenUp


def num_until_stop(given_up, *, has_failed_before=False):
    heard = (given_up.hear(has_failed_before=has_failed_before) for _ in range(100))
    return next((number for number, why in enumerate(heard, 1) if why), None)


def test_workers_that_never_ended_a_trial_are_to_blame():
    assert num_until_stop(GivenUp(has_results=False)) == 4


def test_several_killers_of_a_batch_do_not_stop_a_study_that_works():
    given_up = GivenUp(has_results=False)
    given_up.hear_end()
    assert num_until_stop(given_up) == 16
    assert num_until_stop(GivenUp(has_results=True)) == 16


def test_a_trial_that_ends_begins_the_count_anew():
    given_up = GivenUp(has_results=True)
    for _ in range(15):
        assert given_up.hear(has_failed_before=False) is None
    given_up.hear_end()
    assert num_until_stop(given_up) == 16


def test_the_same_command_gets_past_trials_that_were_given_up_before():
    assert num_until_stop(GivenUp(has_results=False), has_failed_before=True) is None
