"""Earlier, broken runs of a session: what they disclosed, and what is charged for it."""

from __future__ import annotations

from qkd_gs.audit.chained_file import read_transcript
from qkd_gs.audit.replay import Run, replay

_BYTE = 7  # bits by which syndromes may fall short of whole bytes


def check_earlier_runs(run: Run, simulated: bool) -> None:
    """Check that earlier runs announced the same, used other pre-shared bits, and disclosed no more than is charged.

    What two of them disclosed after the same words is the same, and counts once.  The pre-shared bits of a `simulated`
    session are public, and used again.
    """
    path = run.transcript.path
    paths = sorted(path.parent.glob(f'{path.stem.rpartition("-")[0]}-*.qgt'))
    runs = [replay(read_transcript(one), run.members) for one in paths if one != path]
    runs = [one for one in runs if one.named[0] or not one.hello.get('stored_key')]
    for one in runs:
        name, announced = one.transcript.path.name, [each.said('SIFT_HEAD', 'DETECTIONS') for each in (one, run)]
        same = all(a == b for a, b in zip(*announced, strict=False))
        run.check(same, f'{name} announces other detections, bases or locked time')
        run.check('chain' not in one.transcript.broken, f'{name}: {one.transcript.broken}')  # not: cut short by a crash
    slots = [slot for one in (*run.members, run, *runs) for slot in one.slots]
    run.check(simulated or len(set(slots)) == len(slots), 'a run uses the same pre-shared bits as another run')
    if not (run.hello and run.welcome):
        return
    short = _BYTE if run.hello['terms']['reconciliation'] == 'ldpc' else 0
    for side, (who, said) in enumerate((('ground', run.hello), ('satellite', run.welcome))):
        named = {name: bits for one in runs for name, bits in one.named[side].items()}
        least = sum(named.values()) + sum(one.hashes[side] for one in runs) - short * len(named)
        charged, repeated = said['disclosed_before'], run.repeated[side]
        run.check(charged >= least, f'earlier runs disclosed {least} bits, the {who} charges {charged}')
        again = sum(bits for name, bits in run.named[0].items() if any(name in one.named[0] for one in runs))
        run.check(repeated <= again, f'the {who} does not charge {repeated} earlier bits, {again} were said again')
