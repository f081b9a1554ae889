"""A real pass that is recorded while it is played: tags, locked time and the satellite's log come as a clock goes on.

The light is that of the twin; nothing in the session says so, since a simulated one is only processed when it is over.
"""

import os
import shutil
import threading
from collections import deque
from contextlib import ExitStack
from copy import copy
from datetime import UTC, datetime

import numpy as np

from qkd_gs.keys.entries import Side
from qkd_gs.keys.folder import KeyFolder
from qkd_gs.keys.preshared import SLOT_BYTES
from qkd_gs.orbit.elements import load_elements
from qkd_gs.orbit.passes import pass_nearest
from qkd_gs.satellite.pack import pack_log
from qkd_gs.session.manifest import FILE_NAME, LockedSpan, create_manifest, update_manifest
from qkd_gs.session.tag_files import next_tags_path
from qkd_gs.session.writers import writing
from qkd_gs.settings.site import Site
from qkd_gs.sim.synthetic_session import ELEMENTS, SyntheticSession
from qkd_gs.timing.sealed import SealedWriter

SECOND = 10**9
_BEFORE_NS = 6 * SECOND  # of the satellite's log, before and behind the recording
_LOCK_NS = SECOND // 2  # so often the locked time is renewed
_EQUINOX_DAY = 20532.6  # 2026-03-20, days since 1970
_FLATTENING = 1 / 298.257


class Clock:
    """A clock that goes on when somebody sleeps; what comes meanwhile has come when he wakes."""

    def __init__(self, now_ns):
        self.now_ns, self.come, self._lock = now_ns, lambda now_ns: None, threading.RLock()

    def now(self):
        return self.now_ns

    def sleep(self, seconds):
        with self._lock:
            self.come(self.now_ns + round(seconds * SECOND))
            self.now_ns += round(seconds * SECOND)


def pass_overhead(utc_ns, path, north_deg=1.5):
    """A pass near the zenith of some place at about a time, of the elements of Micius as if they were of that day.

    They are written to `path`; returns the place, and UTC of the culmination there, ns.
    """
    name, first, second = ELEMENTS.read_text().splitlines()[:3]
    at = datetime.fromtimestamp(utc_ns / SECOND, UTC)
    day = at.timetuple().tm_yday + (at.hour + at.minute / 60 + at.second / 3600) / 24
    first = f'{first[:18]}{at:%y}{day:012.8f}{first[32:68]}'
    second = f'{second[:17]}{_node_at_midnight_deg(utc_ns):8.4f}{second[25:68]}'
    path.write_text('\n'.join([name, first + _check_digit(first), second + _check_digit(second), '']))
    elements = load_elements(path)
    (x,), (y,), (z,) = elements.nearest(utc_ns).itrs_m(np.array([utc_ns])).reshape(3, 1)
    latitude_deg = np.degrees(np.arctan2(z, np.hypot(x, y) * (1 - _FLATTENING) ** 2))
    longitude_deg = np.degrees(np.arctan2(y, x))
    site = Site(name='below', latitude_deg=latitude_deg + north_deg, longitude_deg=longitude_deg, altitude_m=100)
    return site, pass_nearest(elements, site, utc_ns).culmination_ns


def _node_at_midnight_deg(utc_ns):
    """Right ascension of the node of an orbit that comes down over the equator at midnight, good to degrees.

    There the satellite is in the shadow of the Earth, and does not shine into the receiver; it is near there at the
    epoch of its elements.
    """
    return 360 * (utc_ns / SECOND / 86400 - _EQUINOX_DAY) / 365.2422 % 360


def _check_digit(line):
    return str(sum(int(letter) if letter.isdigit() else letter == '-' for letter in line) % 10)


class SlowPulses(SyntheticSession):
    """A pass of a slow source: a log of 1e8 states a second takes longer to make than the pass.

    The diodes have no afterpulses; in slots of a microsecond those would come in the slot of their click.
    """

    def photonics(self):
        light = super().photonics()
        return light.model_copy(update={'spads': light.spads.model_copy(update={'afterpulse_probability': 0.0})})


def paired_key_folders(folder, slots=12):
    """Key folders of ground and satellite that know each other."""
    shared = os.urandom(SLOT_BYTES * slots)
    ground, satellite = (KeyFolder.create(folder / name, shared) for name in ('ground', 'satellite'))
    ground.pin_satellite(satellite.own_certificate())
    satellite.pin_satellite(ground.own_certificate())
    return ground, satellite


def equal_keys(ground, satellite):
    """Bits that both ends give out under one name."""
    with ground.store(simulated=False) as mine, satellite.store(simulated=False, side=Side.SATELLITE) as theirs:
        piece = mine.take(1024)
        assert theirs.take_named(piece.name).material.reveal() == piece.material.reveal()
        return len(piece.material.reveal())


class PlayedPass:
    """A pass whose tags and transmitter logs are there already, and come when they are due.

    Parameters
    ----------
    folder : Path
        The session is ``session``, and the satellite's log the folder ``log`` in it.
    synthetic : SyntheticSession
        Its light.
    file_s : int
        Seconds in a file of the log.
    """

    def __init__(self, folder, synthetic: SyntheticSession, file_s=2):
        self.session, self.log, self._ready = folder / 'session', folder / 'log', folder / 'ready'
        self._whole, self._elements, light = synthetic.manifest(), synthetic.elements, synthetic.light()
        self.start_ns, self.end_ns = synthetic.start_ns, synthetic.end_ns
        self._tags = deque(synthetic.tags(light, 0, self.start_ns, self.end_ns))
        self._ready.mkdir(mode=0o700)
        self._files = deque(self._packed(light.transmitter, file_s))
        self._held, self._locked_ns = ExitStack(), 0

    def _packed(self, transmitter, file_s):
        """UTC at which each file of the log is there, and its path."""
        first_ns, end_ns = self.start_ns - _BEFORE_NS, self.end_ns + _BEFORE_NS
        log = transmitter.beacon_log(first_ns - SECOND, end_ns + SECOND)
        times_ps, source = log.time_ps[:], self._whole.station.source
        for number, from_ns in enumerate(range(first_ns, end_ns, file_s * SECOND)):
            bounds_ps = (np.array([from_ns, from_ns + file_s * SECOND]) - log.epoch_utc_ns) * 1000
            first, end = (transmitter.period.before(bounds_ps) + 1).tolist()
            first_beacon, end_beacon = (transmitter.beacon_period.before(bounds_ps) + 1).tolist()
            states = transmitter.states(np.arange(first, end))
            (states.basis | states.bit << 1 | states.intensity << 2).tofile(self._ready / 'states.u8')
            times = enumerate(times_ps[first_beacon - log.first_index : end_beacon - log.first_index].tolist())
            table = '\n'.join(f'{first_beacon + k},{time_ps}' for k, time_ps in times)
            (self._ready / 'beacon.csv').write_text(f'pulse,ps\n{table}\n')
            path = self._ready / f'{number:05}.h5'
            beacon = self._ready / 'beacon.csv'
            pack_log(self._ready / 'states.u8', beacon, first, log.epoch_utc_ns, source, path, lambda *_: None)
            yield from_ns + file_s * SECOND, path

    def again(self, folder):
        """The same pass, to be recorded once more into another folder."""
        other = copy(self)
        other.session, other.log = folder / 'session', folder / 'log'
        other._tags, other._files, other._held = deque(self._tags), deque(self._files), ExitStack()
        return other

    def begin(self, sealing_key):
        """Begin the recording, and the log with what was sent by then."""
        manifest = self._whole.model_copy(update={'simulated': False, 'seed': None, 'locked': [], 'closed': False})
        self.session.mkdir()
        self.log.mkdir(mode=0o700)
        shutil.copyfile(self._elements, manifest.orbit_path(self.session))
        create_manifest(self.session, manifest)
        self._held.enter_context(writing(self.session))
        key, frozen = sealing_key(manifest.session_id), manifest.station.frozen_digest
        session_id, path = bytes.fromhex(manifest.session_id), next_tags_path(self.session)
        self._writer = SealedWriter(path, session_id, key, self.start_ns, frozen)
        self.come(self.start_ns)

    def come(self, now_ns):
        """Bring all that is due."""
        while self._files and self._files[0][0] <= now_ns:
            os.link(path := self._files.popleft()[1], self.log / path.name)
        if not self.recording:
            return
        while self._tags and self._tags[0][0] <= now_ns:
            self._writer.append(*self._tags.popleft())
        if now_ns >= self._locked_ns + _LOCK_NS:
            self._lock(now_ns)
        if not self._tags:
            self.end(whole=True)

    def end(self, whole=False):
        """End the recording; if not as a whole, its process dies."""
        if whole:
            self._writer.close()
        update_manifest(self.session, lambda _: {'closed': whole})
        self._held.close()
        self._held = None

    def delay(self, number, seconds):
        """Have a file of the log come later than it should."""
        due = list(self._files)
        due_ns, path = next(one for one in due if one[1].stem == f'{number:05}')
        due.remove((due_ns, path))
        self._files = deque(sorted([*due, (due_ns + seconds * SECOND, path)]))

    @property
    def recording(self):
        """Whether the recording goes on."""
        return self._held is not None

    def _lock(self, now_ns):
        self._locked_ns = now_ns
        end_ns = min(now_ns, self.end_ns)
        if end_ns > self.start_ns:
            locked = [LockedSpan(start_ns=self.start_ns, end_ns=end_ns)]
            update_manifest(self.session, lambda _: {'locked': locked})
            os.utime(self.session / FILE_NAME, ns=(now_ns, now_ns))
