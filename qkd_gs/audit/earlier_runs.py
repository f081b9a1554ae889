"""Earlier, broken runs of a session: what they disclosed, and what is charged for it."""

from __future__ import annotations

from collections.abc import Sequence

from qkd_gs.audit.chained_file import Transcript, read_transcript
from qkd_gs.audit.replay import Run, replay

_BYTE = 7  # bits by which syndromes may fall short of whole bytes


def earlier_runs(transcript: Transcript, run: Run, simulated: bool, members: Sequence[Run] = ()) -> list[str]:
    """Whether earlier runs announced the same, used other pre-shared bits, and disclosed no more than is charged.

    What two of them disclosed after the same words is the same, and counts once.  The pre-shared bits of a simulated
    session are public, and used again.

    Parameters
    ----------
    transcript, run : Transcript, Run
        The run that made the key.
    simulated : bool
    members : sequence of Run
        As of `replay`.
    """
    stem, _, _ = transcript.path.stem.rpartition('-')
    paths = [path for path in sorted(transcript.path.parent.glob(f'{stem}-*.qgt')) if path != transcript.path]
    runs = {path.name: replay(read_transcript(path), members, whole=False) for path in paths}
    runs = {name: one for name, one in runs.items() if not one.hello.get('stored_key')}
    found = [
        f'{name} announces other detections, bases or locked time'
        for name, one in runs.items()
        if one.announced and run.announced and one.announced != run.announced
    ]
    slots = [one.welcome.get('pre_shared_slot') for one in (*members, run, *runs.values()) if one.welcome]
    if len(set(slots)) < len(slots) and not simulated:
        found.append('a run uses the same pre-shared bits as another run')
    one_way = run.hello and run.hello['terms']['reconciliation'] == 'ldpc'
    asked, answered = dict[bytes, int](), dict[bytes, int]()
    for one in runs.values():
        asked, answered = asked | one.asked, answered | one.answered
    again = sum(bits for name, bits in run.asked.items() if name in asked)
    sides = (('ground', asked, run.hello), ('satellite', answered, run.welcome))
    for side, (who, named, said) in enumerate(sides):
        hashes = sum(one.hashes[side] for one in runs.values())
        least = sum(named.values()) + hashes - (_BYTE * len(named) if one_way else 0)
        if said and said['disclosed_before'] < least:
            found.append(f'earlier runs disclosed {least} bits, the {who} charges {said["disclosed_before"]}')
        if run.repeated[side] > again:
            found.append(f'the {who} does not charge {run.repeated[side]} earlier bits, {again} were said again')
    return found
