import pytest

from tune_metalr.losses import Cause, Loss, Losses


def test_three_workers_are_enough_and_the_reason_is_told():
    losses = Losses()
    loss = Loss(Cause.WORKER, "end of file")
    assert losses.hear("a", loss) is None
    assert losses.hear("b", loss) is None
    assert losses.hear("a", loss) is None
    assert losses.hear("a", loss) == "its worker was lost 3 times: end of file"


def test_lack_of_memory_is_a_reason_of_its_own():
    losses = Losses()
    losses.hear("a", Loss(Cause.WORKER, ""))
    losses.hear("a", Loss(Cause.MEMORY, ""))
    reason = losses.hear("a", Loss(Cause.MEMORY, "killed at 95 %"))
    assert reason == "its node ran out of memory 3 times: killed at 95 %"


def test_nodes_that_go_are_not_the_trials_fault():
    losses = Losses()
    for _ in range(9):
        assert losses.hear("a", Loss(Cause.NODE, "taken back")) is None
    assert losses.hear("a", Loss(Cause.WORKER, "")) is None
    assert (
        losses.hear("a", Loss(Cause.NODE, "taken back")) == "its node was lost 10 times: taken back"
    )


def test_losses_are_told_in_a_few_words():
    losses = Losses()
    assert losses.line() == ""
    losses.hear("a", Loss(Cause.NODE, ""))
    losses.hear("a", Loss(Cause.NODE, ""))
    losses.hear("b", Loss(Cause.MEMORY, ""))
    assert losses.line() == "2 nodes, 1 to lack of memory"


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_a_worker_that_cannot_start_tells_of_its_node():
    from tune_metalr.ray_pool.loss_text import loss_of

    text = """The actor died because of an error raised in its creation task,
        ray::ResourceTrainable.__init__() (pid=12, ip=10.0.0.7, actor_id=ab, repr=x)
        ModuleNotFoundError: No module named 'x'"""
    assert loss_of(text).detail == "on node 10.0.0.7: ModuleNotFoundError: No module named 'x'"


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("The actor is dead because its node has died. Node Id: 1", Cause.NODE),
        ("the actor's node was terminated: preempted", Cause.NODE),
        ("The actor ab is unavailable: rpc error", Cause.NODE),
        ("Task was killed due to the node running low on memory.", Cause.MEMORY),
        ("Worker exit type: NODE_OUT_OF_MEMORY Worker exit detail: x", Cause.MEMORY),
        ("Worker exit type: SYSTEM_ERROR: killed by the OOM killer, or crashed", Cause.WORKER),
        ("The actor died because of an error raised in its creation task, x", Cause.START),
        ("", Cause.WORKER),
    ],
)
def test_what_ray_says_tells_the_cause(text, cause):
    from tune_metalr.ray_pool.loss_text import loss_of

    assert loss_of(f"Failure # 1 (occurred at noon)\n{text}\n").cause is cause
