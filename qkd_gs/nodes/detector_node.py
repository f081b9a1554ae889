"""Detector node: seals every time tag into the session, which it cannot read back, and publishes counts.

A tag's detector is the raw key bit, so a tag leaves this process only into the sealed file.
"""

from __future__ import annotations

from typing import IO

import qkd_gs.msg as m
from qkd_gs.devices.kinds import TDC
from qkd_gs.devices.tdc import Tdc
from qkd_gs.keys.folder import find_key_folder
from qkd_gs.nodes.conversions import messages
from qkd_gs.nodes.runtime.base import IN_TIME
from qkd_gs.nodes.runtime.context import device_of, station_of
from qkd_gs.nodes.runtime.device import DeviceNode, require_open
from qkd_gs.nodes.runtime.gathered import NEWEST
from qkd_gs.nodes.runtime.process import run
from qkd_gs.session.tag_files import next_tags_path
from qkd_gs.session.writers import writing
from qkd_gs.timing.recorder import TagRecorder
from qkd_gs.timing.sealed import SealedWriter
from qkd_gs.tracking.types import Phase

_POLL_S = 0.1
_RECORDING = (Phase.SLEW, Phase.WAIT, Phase.ACQUIRE, Phase.COARSE, Phase.FINE, Phase.LOST)


class DetectorNode(DeviceNode):
    """Records one TDC run per session, and a further run if this process was restarted in between."""

    name = 'detector'
    priority = IN_TIME

    def __init__(self) -> None:
        super().__init__()
        self._station = station_of(self)
        self._tdc: Tdc | None = None
        self._recorder: TagRecorder | None = None
        self._writing: IO[bytes] | None = None
        self._folder = ''
        self._counts = self.publisher(m.Counts, 'detector/counts')
        self.gather(m.SessionState, 'session/state', self._session, NEWEST)

    def opened(self) -> None:
        """Connect to the TDC; the public key that seals the tags must exist."""
        self._sealing_key = find_key_folder(None, simulated=self.simulated).sealing_public_key()
        self._tdc = device_of(self, TDC, self._station)
        self._tdc.open()

    def started(self) -> None:
        """Be ready for a session."""
        self.while_active(_POLL_S, self._step)

    def stopped(self) -> None:
        """End the run."""
        self._end()

    def closed(self) -> None:
        """Close the TDC."""
        if self._tdc is not None:
            self._tdc.close()
            self._tdc = None

    def _session(self, state: m.SessionState) -> None:
        folder = state.folder if state.phase in _RECORDING else ''
        if not self.active or folder == self._folder:
            return
        self._end()
        if folder:
            self._begin(folder, bytes.fromhex(state.session_id))

    def _begin(self, name: str, session_id: bytes) -> None:
        folder, now_ns = self.sessions_dir / name, self.clock.now_ns()
        self._writing = writing(folder)
        record = getattr(self._tdc, 'record', None)
        if record is not None:  # the simulated satellite's transmission record
            record.save(folder)
        require_open(self._tdc).start(now_ns)
        writer = SealedWriter(next_tags_path(folder), session_id, self._sealing_key, now_ns)
        self._recorder, self._folder = TagRecorder(writer, self._station.source), name
        self.get_logger().info(f'TDC run started for {name}')

    def _end(self) -> None:
        recorder, self._recorder, self._folder = self._recorder, None, ''
        held, self._writing = self._writing, None
        try:
            if recorder is not None:
                require_open(self._tdc).stop(self.clock.now_ns())
                recorder.close()
        finally:  # who waits for the session's files does not wait for a device
            if held is not None:
                held.close()

    def _step(self, now_ns: int) -> None:
        if self._recorder is None:
            return
        full = self._recorder.step(now_ns, require_open(self._tdc).poll(now_ns))
        if full is not None:
            self._counts.publish(messages.counts(full))


def main(arguments: list[str] | None = None) -> int:
    """Run the node."""
    return run(DetectorNode, arguments)


if __name__ == '__main__':
    raise SystemExit(main())
