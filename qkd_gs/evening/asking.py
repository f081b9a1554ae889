"""Ask a running station for an action, and wait for its end; part of the performance of a step."""

from __future__ import annotations

from collections.abc import Generator

from qkd_gs.errors import StationError
from qkd_gs.evening.heard import LOST, Answer, Ask, End, Heard
from qkd_gs.evening.sequence import Aborted, Doing, Interrupted


def asked(
    ask: Ask, good: tuple[str, ...] = ('DONE',), before_pass_ns: int | None = None
) -> Generator[Doing, Heard, Answer]:
    """Ask for an action, and wait for its end.

    Parameters
    ----------
    good : tuple of str
        Codes of answers that are given back.
    before_pass_ns : int or None
        So long before a pass it is ended, since no pass needs it; None: a pass needs it.

    Raises
    ------
    StationError
        The answer has none of the good codes, or a pass comes first.
    Interrupted
        It was thrown in, and what was asked for has ended.
    Aborted
        Somebody else has ended it.
    """
    delays = False
    try:
        heard = yield Doing('', ask)
        while heard.answer is None:
            ends = before_pass_ns is not None and heard.pass_within(before_pass_ns) and not delays
            delays = delays or ends
            heard = yield Doing('stops: a pass comes', End(ask.action)) if ends else Doing(heard.said)
    except Interrupted as why:
        heard = yield Doing(f'{why.what}: stops', End(ask.action))
        while heard.answer is None:
            heard = yield Doing()
        raise
    answer = heard.answer
    if answer.code in good:
        return answer
    if delays:
        raise StationError('ended, since a pass comes', where=str(ask.action))
    if answer.code == 'ABORTED' and heard.weather:
        raise Interrupted(heard.weather)
    if answer.code == 'ABORTED':
        raise Aborted(f'{ask.action}: {answer.sentence}')
    raise StationError(answer.sentence, where=str(ask.action), hint='it comes back' if answer.code == LOST else '')
