"""Agreement of both sides on a session's run: terms, source, pre-shared bits, public random bytes."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable

import numpy as np
from pydantic import ValidationError

from qkd_gs.errors import StationError
from qkd_gs.keys.folder import KeyFolder
from qkd_gs.keys.preshared import SimulatedPreSharedKey
from qkd_gs.keys.random_tape import RandomTape
from qkd_gs.keys.refilled import RefilledKey
from qkd_gs.keys.store import KeyStore
from qkd_gs.qkd.sifting.random_bits import RandomBits, seeded_bits
from qkd_gs.qkd.sifting.terms import Terms
from qkd_gs.session.manifest import FILE_NAME, Manifest

_log = logging.getLogger(__name__)

_FEW_RUNS = 10


def source_of(manifest: Manifest) -> str:
    """Transmitter whose pulses are booked; each simulated session has a satellite of its own."""
    return manifest.session_id if manifest.simulated else manifest.satellite


def agreed_terms(manifest: Manifest) -> Terms:
    """Terms to be agreed with the satellite.

    Raises
    ------
    StationError
        The source's settings contradict each other.
    """
    try:
        return Terms.of_station(manifest.station)
    except ValidationError as error:
        raise StationError(f'station.source: {error.errors()[0]["msg"]}', where=FILE_NAME) from error


def pre_shared_of(keys: KeyFolder, manifest: Manifest, store: KeyStore) -> RefilledKey:
    """Pre-shared bits of the ground; warns when there are few left."""
    if manifest.simulated:
        return RefilledKey(SimulatedPreSharedKey(_seed(manifest), manifest.session_id), store)
    pre_shared = RefilledKey(keys.pre_shared_key(), store)
    if pre_shared.runs_left < _FEW_RUNS:
        _log.warning(
            'the pre-shared key is enough for %d more runs; a pass that makes a key gives back what it used, one'
            ' without a key does not: bring a new one to both sides',
            pre_shared.runs_left,
        )
    return pre_shared


def public_random(manifest: Manifest) -> Callable[[int], bytes]:
    """Unpredictable bytes; in a simulated session reproducible ones, so that the same seed gives the same key."""
    if not manifest.simulated:
        return secrets.token_bytes
    return np.random.default_rng([_seed(manifest), 1]).bytes


def tie_breaker_of(manifest: Manifest, tape: RandomTape) -> RandomBits:
    """Source of the bits and bases of pulses with several clicks.

    Those of a real run come from the system's generator, and are kept on the tape, so a repeated run announces the
    same.  Bits expanded from a key would not do: the bases of cross clicks are announced, and whoever guesses the key
    that fits them knows the bits, too.
    """
    if manifest.simulated:
        return seeded_bits(np.random.default_rng([_seed(manifest), 2]))
    return tape.bits


def _seed(manifest: Manifest) -> int:
    if manifest.seed is None:
        raise StationError('is marked as simulated but has no seed', where='session.json')
    return manifest.seed
