"""Selection of messages for a bag, and its start and end; without ROS.

A bag holds one pass: it starts when the tracker leaves IDLE and ends when it returns to IDLE.  The last message
of every transient-local topic was published before that: it is written at the start of every file.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

from qkd_gs.errors import StationError
from qkd_gs.recording.about import About
from qkd_gs.recording.repair import needs_repair, repair
from qkd_gs.recording.retention import BAG, retire_bags
from qkd_gs.recording.summary import Topic
from qkd_gs.recording.writer import BagWriter, definition_of
from qkd_gs.session.manifest import FILE_NAME as MANIFEST
from qkd_gs.session.manifest import session_path
from qkd_gs.session.writers import writing
from qkd_gs.settings.station import StorageSettings
from qkd_gs.tracking.types import Phase

_SHARED = ('/tf', '/tf_static', '/diagnostics', '/clock', '/rosout', '/parameter_events')


def is_public(name: str, namespace: str) -> bool:
    """Whether a topic goes into the bag of the station in `namespace` (``'/'`` or ``'/NAME/'``).

    Excluded are hidden topics (a name that begins with ``_``, as of actions) and those of another station.
    """
    parts = name.split('/')[1:]
    hidden = any(part.startswith('_') for part in parts)
    return not hidden and (name.startswith(namespace) or name in _SHARED)


class Thinner:
    """Keeps one message per interval; images and their camera_info, which share a stamp, alike.

    Parameters
    ----------
    rate_hz : float
        In station time; 0: none.
    """

    def __init__(self, rate_hz: float) -> None:
        self._spacing_ns = round(1e9 / rate_hz) if rate_hz > 0 else 0
        self._slot: int | None = None

    def passes(self, data: bytes) -> bool:
        """Whether this serialized message, which begins with a header, is kept."""
        if not self._spacing_ns or len(data) < 12:
            return False
        seconds, nanoseconds = struct.unpack_from('<iI' if data[1] & 1 else '>iI', data, 4)
        slot = (seconds * 1_000_000_000 + nanoseconds) // self._spacing_ns
        kept: bool = slot != self._slot
        self._slot = slot
        return kept


class PassRecorder:
    """Writes one bag per pass from all messages and the state of the tracker.

    Parameters
    ----------
    sessions_dir : Path
    site : str
        Name of the site.
    namespace : str
        Namespace of the station's topics, ``'/'`` or ``'/NAME/'``.
    storage : StorageSettings, optional
        Free space that the bag and its images leave to the tags, and how many bags are kept.

    Attributes
    ----------
    retired : list of Path
        Bags of older passes that were deleted at the end of the last one.
    """

    def __init__(self, sessions_dir: Path, site: str, namespace: str, storage: StorageSettings | None = None) -> None:
        self._sessions_dir, self._site, self._namespace = sessions_dir, site, namespace
        self._storage = storage or StorageSettings()
        self._about: About | None = None  # of the pass under way
        self._images = True
        self._topics: dict[str, Topic] = {}
        self._thinners: dict[str, Thinner] = {}
        self._last: dict[str, bytes] = {}  # of transient-local topics
        self._folder = ''
        self._bag: BagWriter | None = None
        self._writing: IO[bytes] | None = None
        self._checked_last = False
        self.retired: list[Path] = []

    @property
    def bag(self) -> BagWriter | None:
        """The bag being written."""
        return self._bag

    def add_topic(self, topic: Topic, transient_local: bool, rate_hz: float | None = None) -> None:
        """Add a topic; `rate_hz` limits its rate.

        Raises
        ------
        StationError
            As `definition_of`; the topic is not recorded.
        """
        definition_of(topic)
        if self._bag is not None:
            self._bag.add_topic(topic)
        self._topics[topic.name] = topic
        if transient_local:
            self._last[topic.name] = b''
        if rate_hz is not None:
            self._thinners[topic.name] = Thinner(rate_hz)

    def state(self, now_ns: int, state: Any) -> None:
        """State of the tracker, a message like `SessionState`; to be called before `take` with the same message.

        Raises
        ------
        StationError
            The bag cannot be created; `space` tries again.
        """
        folder = state.folder if state.phase != Phase.IDLE else ''
        if folder == self._folder:
            if not folder:
                self._repair_last()
            return
        self.close()
        self._folder = folder
        if not folder:
            self.retired = retire_bags(self._sessions_dir, self._storage.keep_bags)
            return
        self._checked_last = True
        session_path(self._sessions_dir, folder)
        self._about = About(state.session_id, state.satellite, self._site, state.simulated, self._namespace)
        self._begin(now_ns, self._about)

    def _begin(self, now_ns: int, about: About) -> None:
        bag = BagWriter(self._sessions_dir / self._folder / BAG, about)
        if self._writing is None:
            self._writing = writing(self._sessions_dir / self._folder)
        for topic in self._topics.values():
            bag.add_topic(topic)
        for name, data in self._last.items():
            if data:
                bag.write(name, now_ns, data)
        self._bag = bag

    def take(self, name: str, now_ns: int, data: bytes) -> None:
        """Record a serialized message of a topic that was added.

        Raises
        ------
        StationError
            It cannot be written (disk full); `space` begins a further file.
        """
        if name in self._last:
            self._last[name] = data
        thinner = self._thinners.get(name)
        if self._bag is None or (thinner is not None and not (self._images and thinner.passes(data))):
            return
        try:
            self._bag.write(name, now_ns, data)
        except StationError:
            self._bag = None
            raise

    def space(self, now_ns: int, free_mb: float) -> str:
        """Follow the free space of the disk: images go without it first, then the whole bag; the tags never.

        Returns
        -------
        str
            Topics that are not recorded, with the reason; empty: none.

        Raises
        ------
        StationError
            The bag cannot be ended, or a further file not be begun.
        """
        if self._about is None:
            return ''
        self._images = free_mb >= self._storage.images_above_mb
        if self._bag is not None and free_mb < self._storage.bag_above_mb:
            bag, self._bag = self._bag, None
            bag.close()
        elif self._bag is None and self._images:
            self._begin(now_ns, self._about)
        missing = 'the bag' if self._bag is None else '' if self._images else 'images'
        return f'{missing} not recorded: {free_mb:.0f} MB are free on the disk' if missing else ''

    def flush(self) -> None:
        """Write everything so far to the disk; to be called twice per second.

        Raises
        ------
        StationError
            As for `take`.
        """
        if self._bag is None:
            return
        try:
            self._bag.flush()
        except StationError:
            self._bag = None
            raise

    def close(self) -> None:
        """Finish the bag at the end of the pass or of the recorder."""
        bag, self._bag, self._folder, self._about = self._bag, None, '', None
        try:
            if bag is not None:
                bag.close()
        finally:
            if self._writing is not None:
                self._writing.close()
                self._writing = None

    def _repair_last(self) -> None:
        """Repair the bag of the newest session if an earlier recorder was killed near the end of its pass."""
        if self._checked_last:
            return
        self._checked_last = True
        manifests = sorted(self._sessions_dir.glob(f'*/{MANIFEST}'), key=lambda path: path.stat().st_mtime)
        folder = manifests[-1].parent / BAG if manifests else None
        if folder is not None and folder.is_dir() and needs_repair(folder):
            repair(folder)


def rate_of(name: str, kind: str, rates_hz: Mapping[str, float], namespace: str) -> float | None:
    """Rate limit of a topic: that of its camera, for images and camera_info; None: no limit.

    Parameters
    ----------
    rates_hz : mapping
        By name of the camera, e.g. ``'guiding_camera'``.
    """
    if kind not in ('sensor_msgs/msg/Image', 'sensor_msgs/msg/CompressedImage', 'sensor_msgs/msg/CameraInfo'):
        return None
    return rates_hz.get(name.removeprefix(namespace).split('/', maxsplit=1)[0], min(rates_hz.values(), default=0.0))
