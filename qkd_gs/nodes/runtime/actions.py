"""Ends of an action's goals."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from qkd_gs.errors import in_words


def take_or_answer(
    goal: Any, take: Callable[[Any], None], taken: Callable[[], bool], failure: Callable[[str], Any]
) -> None:
    """Take a goal of an action; if that fails unexpectedly, its client is answered nevertheless.

    Parameters
    ----------
    taken : callable
        Whether the node has taken it, and will end it.
    failure : callable
        Result with a reason.
    """
    try:
        take(goal)
    except Exception as error:
        if not taken():
            conclude(goal, failure(in_words(error)))
        raise


def conclude(goal: Any, result: Any) -> None:
    """End an action's goal with a result that carries `error_code`."""

    def end(goal: Any) -> Any:
        if goal.is_cancel_requested:
            goal.canceled()
        elif result.error_code:
            goal.abort()
        else:
            goal.succeed()
        return result

    goal.execute(end)
