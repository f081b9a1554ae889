"""The station in everyday words, for people who know neither telescopes nor cryptography."""

from __future__ import annotations

from collections.abc import Mapping
from math import degrees, isfinite
from typing import Any

from qkd_gs.monitoring.readiness import Level
from qkd_gs.monitoring.snapshot import KeyProgress, KeyStep, Snapshot
from qkd_gs.tracking.types import Phase

_USUAL_ERROR_RATE = 0.03
_SHORT_LOCK = 0.9  # of the time in which the satellite could be held
WORDS = (
    'A photon is the smallest portion of light. A key is a long random number that only the station and the satellite '
    'know; with it messages are made unreadable for everybody else. A simulated pass is computed, with no satellite '
    'and no telescope: its key protects nothing.'
)


def plain_status(now: Snapshot) -> list[str]:
    """Sentences on the state of the station; troubles come first, in the station's own words."""
    sentences = []
    if now.readiness.level is Level.ERROR:
        sentences.append(f'Something is wrong. Tell the person in charge: "{now.readiness.sentence}".')
    elif now.readiness.level is Level.WARN:
        sentences.append(f'Please note: "{now.readiness.sentence}".')
    if now.evening:
        sentences.append(f'The station works by itself tonight: "{now.evening}".')
    sentences.append(_pass(now))
    held = now.session is not None and now.session.phase is Phase.FINE
    if held and now.counts is not None:
        seconds = (now.counts.end_ns - now.counts.start_ns) * 1e-9
        sentences.append(f'It receives about {sum(now.counts.counts[:4]) / seconds:,.0f} photons a second.')
    return [*sentences, *_key(now.key)]


def _pass(now: Snapshot) -> str:
    session, coming = now.session, now.coming
    if session is None or session.phase is Phase.IDLE:
        if coming is None:
            return 'No satellite comes within a day.' if now.planned else 'It is not known yet when a satellite comes.'
        when = f'The satellite {coming.satellite} comes into view in {_duration((coming.start_ns - now.now_ns) * 1e-9)}'
        return f'{when}.' if coming.usable else f'{when}, but this time it cannot be used: {coming.reasons}.'
    name = session.satellite or 'the satellite'
    return {
        Phase.SLEW: f'The telescope turns to where {name} will rise.',
        Phase.WAIT: f'The telescope waits where {name} will rise.',
        Phase.ACQUIRE: f'The telescope looks for the green light of {name}.',
        Phase.COARSE: f'The telescope has found {name} and centres it.',
        Phase.FINE: f'The telescope holds {name}{_place(now)}.',
        Phase.LOST: f'The light of {name} is gone, perhaps behind a cloud. The telescope follows where it should be.',
        Phase.END: f'{name} has gone by.',
        Phase.PARK: f'{name} has gone by. The telescope returns to its place of rest.',
    }[session.phase]


def _place(now: Snapshot) -> str:
    if not isfinite(now.el_rad):
        return ''
    away = f', {now.range_m / 1000:,.0f} km away' if isfinite(now.range_m) else ''
    return f', {degrees(now.el_rad):.0f} degrees above the horizon{away}'


def _key(key: KeyProgress | None) -> list[str]:
    if key is None or key.state is KeyStep.IDLE:
        return []
    if key.state is KeyStep.WORKING:
        return ['Station and satellite work out their key.']
    if key.state is KeyStep.FAILED:
        return [f'There is no key of the last pass: {key.message}.']
    return [_amount(key.secret_bits, key.simulated, key.message)]


def plain_result(manifest: Mapping[str, Any]) -> tuple[str, str, str]:
    """Three sentences about a pass that is over: did it work, how much key, what to look at.

    Parameters
    ----------
    manifest : mapping
        Of the session, as in session.json.
    """
    tracking, result = manifest['tracking'], manifest['result'] or {}
    key = result.get('key', {})
    locked_s = tracking.get('locked_s') or 0.0
    name = manifest['satellite'] or 'the light source'
    worked = (
        f'The pass worked: the telescope held {name} for {_duration(locked_s)}.'
        if locked_s
        else f'The pass did not work: the telescope never held {name}.'
    )
    reasons = ', '.join(key.get('reasons', ()))
    amount = _amount(key.get('secret_bits', 0), bool(manifest['simulated']), reasons) if key else 'No key was made.'
    concerns = _concerns(tracking, key)
    return worked, amount, f'Look at this: {", ".join(concerns)}.' if concerns else 'Nothing needs attention.'


def _amount(secret_bits: int, simulated: bool, reason: str) -> str:
    if secret_bits <= 0:
        return f'There is no key of this pass{f": {reason}" if reason else ""}.'
    if simulated:
        return f'Station and satellite share {secret_bits:,} bits of a simulated key, which protects nothing.'
    return f'Station and satellite share {secret_bits:,} secret bits that nobody else knows.'


def _concerns(tracking: Mapping[str, Any], key: Mapping[str, Any]) -> list[str]:
    found = []
    losses, share, qber = tracking.get('losses') or 0, tracking.get('locked_fraction'), key.get('qber')
    if losses:
        found.append(f'the light was lost {"once" if losses == 1 else f"{losses} times"}')
    if share is not None and share < _SHORT_LOCK:
        found.append(f'the satellite was held for {100 * share:.0f} % of the possible time only')
    if qber is not None and qber > _USUAL_ERROR_RATE:
        found.append(f'{100 * qber:.1f} % of the bits were wrong, where 1 to 3 % are usual')
    return found


def _duration(seconds: float) -> str:
    whole = max(round(seconds), 0)
    if whole < 120:
        return f'{whole} second{"" if whole == 1 else "s"}'
    minutes = round(whole / 60)
    return f'{minutes} minutes' if minutes < 120 else f'{minutes / 60:.0f} hours'
