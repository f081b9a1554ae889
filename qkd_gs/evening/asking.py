"""Ask a running station for an action, and wait for its end; part of the performance of a step."""

from __future__ import annotations

from collections.abc import Generator

from qkd_gs.errors import StationError
from qkd_gs.evening.heard import LOST, Answer, Ask, End, Heard
from qkd_gs.evening.sequence import Aborted, Doing, Interrupted


def asked(ask: Ask, good: tuple[str, ...] = ('DONE',), spare: bool = False) -> Generator[Doing, Heard, Answer]:
    """Ask for an action, and wait for its end.

    Parameters
    ----------
    good : tuple of str
        Codes of answers that are given back.
    spare : bool
        No pass needs it: it is ended where it would delay one.

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
            ends = spare and heard.pass_is_near and not delays
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
