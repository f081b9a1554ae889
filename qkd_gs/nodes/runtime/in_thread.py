"""Seconds of computing beside everything else that a node does."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

from qkd_gs.errors import StationError, in_words

T = TypeVar('T')


class InThread(Generic[T]):
    """Computes once, in a thread of its own; one whose result nobody wants any more is left alone.

    Parameters
    ----------
    name : str
        Its work.
    work : callable
        Gives the result.

    Attributes
    ----------
    result : T, StationError or None
        None: it goes on.
    """

    def __init__(self, name: str, work: Callable[[], T]) -> None:
        self.result: T | StationError | None = None
        self._name, self._work = name, work
        threading.Thread(target=self._run, name=name, daemon=True).start()

    def _run(self) -> None:
        try:
            self.result = self._work()
        except StationError as error:
            self.result = error
        except Exception as error:  # noqa: BLE001  whoever waits must be told
            self.result = StationError(f'{self._name} has failed: {in_words(error)}')
