"""Who does the work: this process, several, or a Ray cluster.

All three apply one function to the same items and hand out results as they come, in any order. They keep only
a few items in flight, so that items may be streamed, and they do the items of a worker that died again.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from typing import Any, TypeVar

from onnx2snn.errors import Onnx2SnnError

Item = TypeVar("Item")
Result = TypeVar("Result")

_RETRIES = 3
_IN_FLIGHT = 2  # a worker: one at work, one waiting


def here(work: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
    """One item after another, in this process."""
    return map(work, items)


def in_processes(work: Callable[[Item], Result], items: Iterable[Item], *, workers: int) -> Iterator[Result]:
    """In ``workers`` processes; when some die, new ones do their items again, up to three times.

    Raises:
        Onnx2SnnError: the processes keep dying (most often because memory is exhausted).
    """
    source = iter(items)
    unfinished: list[Item] = []
    for _ in range(_RETRIES + 1):
        running: dict[Future[Result], Item] = {}
        pool = ProcessPoolExecutor(workers, get_context("spawn"), _install, (work,))
        try:
            yield from _keep_busy(pool, running, unfinished, source, limit=_IN_FLIGHT * workers)
        except BrokenProcessPool:
            unfinished += running.values()
        else:
            return
        finally:
            pool.shutdown(cancel_futures=True)
    raise Onnx2SnnError(
        f"worker processes died {_RETRIES + 1} times",
        remedy="memory may be short: use fewer --workers or a smaller --batch; --resume keeps what is done",
    )


def _keep_busy(
    pool: ProcessPoolExecutor,
    running: dict[Future[Result], Item],
    unfinished: list[Item],
    source: Iterator[Item],
    *,
    limit: int,
) -> Iterator[Result]:
    """Feed the pool, an earlier pool's items first; what it has not finished stays in the collections."""
    exhausted = False
    while True:
        while len(running) < limit and (unfinished or not exhausted):
            if not unfinished:
                unfinished += [item] if (item := next(source, None)) is not None else []
                exhausted = not unfinished
                continue
            running[pool.submit(_work, unfinished[-1])] = unfinished[-1]
            unfinished.pop()
        if not running:
            return
        for future in wait(running, return_when=FIRST_COMPLETED).done:
            result = future.result()
            del running[future]
            yield result


_installed: list[Callable[[Any], object]] = []


def _install(work: Callable[[Any], object]) -> None:
    """Keep the function in a new process: what it carries (a model) is sent once, not with each item."""
    _installed.append(work)


def _work(item: Any) -> Any:
    return _installed[-1](item)


def on_ray(work: Callable[[Item], Result], items: Iterable[Item], *, address: str) -> Iterator[Result]:
    """As tasks of a Ray cluster (extra ``cluster``); a task whose worker dies is done again elsewhere.

    Args:
        work: What to do; sent to each machine once.
        items: On what; sent with the tasks, so that machines need not share a file system.
        address: Of the cluster; ``auto`` for one that runs here, ``local`` to start one.

    Raises:
        Onnx2SnnError: Ray is missing, or no cluster answers.
    """
    _require_ray()
    import ray  # noqa: PLC0415

    started = not ray.is_initialized()
    if started:
        _connect(address)
    try:
        task = ray.remote(num_cpus=1, max_retries=_RETRIES)(_apply).remote
        shared = ray.put(work)
        limit = _IN_FLIGHT * max(int(ray.cluster_resources().get("CPU", 1)), 1)
        running: list[object] = []
        for item in items:
            running.append(task(shared, item))
            if len(running) >= limit:
                done, running = ray.wait(running, num_returns=1)
                yield from ray.get(done)
        while running:
            done, running = ray.wait(running, num_returns=1)
            yield from ray.get(done)
    finally:
        if started:
            ray.shutdown()


def _apply(work: Callable[[Item], Result], item: Item) -> Result:
    return work(item)


def _connect(address: str) -> None:
    import ray  # noqa: PLC0415

    options = (
        {"log_to_driver": False, "include_dashboard": False}
        if address == "local"
        else {"log_to_driver": False}
    )
    try:
        _check_reachable(address)
        ray.init(address=address, **options)
    except (
        OSError,
        ValueError,
        RuntimeError,
        SystemExit,
    ) as error:  # Ray ends the process where it finds nobody
        raise Onnx2SnnError(
            f"no Ray cluster answers at '{address}'",
            remedy="start one with `ray start --head`, or let --ray local start one for this run",
        ) from error


def _check_reachable(address: str) -> None:
    """Ask for a connection first: Ray itself asks for more than a minute."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if host:
        socket.create_connection((host, int(port)), timeout=10).close()


def _require_ray() -> None:
    try:
        import ray  # noqa: F401, PLC0415 - an extra
    except ImportError as error:
        raise Onnx2SnnError("--ray needs Ray", remedy="pip install 'onnx2snn[cluster]'") from error
