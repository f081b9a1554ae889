"""Requests served in batches: what waits while one change of the store is written shares the next one."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, TypeVar

from qkd_gs.errors import StationError
from qkd_gs.keys.delivery.refusal import Refusal, unavailable

_log = logging.getLogger(__name__)
_LARGEST = 64  # requests of a batch
_WAITING = 4096  # more are refused
T = TypeVar('T')
R = TypeVar('R')

Handler = Callable[[Sequence[T]], Sequence[R | Refusal]]


class BatchWorker(Generic[T, R]):
    """Serves requests one batch after the other in a thread of its own.

    Parameters
    ----------
    name : str
        Of the thread.
    start : callable
        Returns what serves a batch; called in the thread, and again after an error.
    """

    def __init__(self, name: str, start: Callable[[], Handler[T, R]]) -> None:
        self._start = start
        self._handler: Handler[T, R] | None = None
        self._waiting: deque[tuple[T, Future[R]]] = deque()
        self._lock = threading.Lock()
        self._executor = ThreadPoolExecutor(1, name)

    def submit(self, request: T) -> Future[R]:
        """Outcome of a request; a `Refusal` is raised."""
        future: Future[R] = Future()
        with self._lock:
            if len(self._waiting) >= _WAITING:
                future.set_exception(unavailable('too many requests are waiting'))
                return future
            self._waiting.append((request, future))
            if len(self._waiting) == 1:
                self._executor.submit(self._serve_waiting)
        return future

    def close(self) -> None:
        """Serve what waits, then end."""
        self._executor.shutdown()

    def _serve_waiting(self) -> None:
        while batch := self._next():
            outcomes = self._outcomes(batch)
            for (_, future), outcome in zip(batch, outcomes, strict=True):
                if not future.set_running_or_notify_cancel():
                    continue  # its client has gone; what was given to it is lost
                if isinstance(outcome, Refusal):
                    future.set_exception(outcome)
                else:
                    future.set_result(outcome)
            with self._lock:
                for _ in batch:
                    self._waiting.popleft()

    def _next(self) -> list[tuple[T, Future[R]]]:
        """The next batch; it waits on until it has been served, so that one thread is busy with it."""
        with self._lock:
            return [self._waiting[number] for number in range(min(_LARGEST, len(self._waiting)))]

    def _outcomes(self, batch: Sequence[tuple[T, Future[R]]]) -> Sequence[R | Refusal]:
        try:
            if self._handler is None:
                self._handler = self._start()
            return self._handler([request for request, _ in batch])
        except StationError as error:
            _log.error('%s', error)
            self._handler = None
            return [unavailable('the key store cannot be used now')] * len(batch)
        except BaseException as error:
            self._handler = None
            with self._lock:
                failed = list(self._waiting)
                self._waiting.clear()
            for _, future in failed:
                if future.set_running_or_notify_cancel():
                    future.set_exception(unavailable('error in the server'))
            _log.error('unexpected %s', type(error).__name__)  # its text could hold a request
            raise
