"""Work on several processes of one thread each: a short run gains nothing from more threads."""

import multiprocessing
import os
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from typing import Any, TypeVar

import torch

Result = TypeVar("Result")


class Processes:
    """A pool of processes, or this one alone."""

    def __init__(self, pool: ProcessPoolExecutor | None, count: int) -> None:
        self._pool = pool
        self._count = count

    def map_until(
        self, end: float, function: Callable[..., Result], work: Iterable[tuple[Any, ...]]
    ) -> Iterator[Result]:
        """Yield results in the order of the work; nothing begins after `end` (monotonic seconds).

        Args:
            end: What has begun before is finished.
            function: Of the top level of a module, as other processes have to find it.
            work: Its arguments.
        """
        if self._pool is None:
            for arguments in work:
                if time.monotonic() > end:
                    return
                yield function(*arguments)
            return
        running: deque[Future[Result]] = deque()
        for arguments in work:
            if time.monotonic() > end:
                break
            running.append(self._pool.submit(function, *arguments))
            if len(running) > self._count:
                yield running.popleft().result()
        yield from (future.result() for future in running)


@contextmanager
def one_thread() -> Iterator[None]:
    """Make numbers the same on every machine of one kind, and small ones no trap.

    Those too small for a float's normal form slow a processor down by a hundred.
    """
    threads = torch.get_num_threads()
    _use_one_thread()
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        torch.set_flush_denormal(False)


@contextmanager
def processes_of_one_thread(count: int) -> Iterator[Processes]:
    """Begin processes that are spawned, so that none inherits another's threads."""
    if count == 1:
        yield Processes(None, 1)
        return
    context = multiprocessing.get_context("spawn")
    before = set(multiprocessing.active_children())
    with ProcessPoolExecutor(count, mp_context=context, initializer=_begin) as pool:
        try:
            yield Processes(pool, count)
        except BaseException:
            # Leaving would wait for what runs, which nobody wants any more.
            for process in set(multiprocessing.active_children()) - before:
                process.terminate()
            raise


def _begin() -> None:
    # A terminal tells every process of an interruption; the first one passes it on.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_the_first, daemon=True).start()
    _use_one_thread()


def _end_with_the_first() -> None:
    """End this process once the one that began it is gone: nobody else would."""
    first = multiprocessing.parent_process()
    assert first is not None
    first.join()
    os._exit(1)


def _use_one_thread() -> None:
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
