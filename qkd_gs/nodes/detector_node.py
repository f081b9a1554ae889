"""Detector node: seals every time tag into the session, which it cannot read back, and publishes counts.

A tag's detector is the raw key bit, so a tag leaves this process only into the sealed file.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from std_msgs.msg import UInt8

import qkd_gs.msg as m
from qkd_gs.calibration.delay_measurement import DelayMeasurement
from qkd_gs.calibration.detector_delays import DelayCalibration
from qkd_gs.calibration.measured_delays import DelaysTold
from qkd_gs.devices.kinds import TDC
from qkd_gs.devices.registry import SIMULATED
from qkd_gs.devices.tdc import Tdc
from qkd_gs.errors import StationError
from qkd_gs.keys.folder import find_key_folder
from qkd_gs.nodes.conversions import delays, messages
from qkd_gs.nodes.runtime.base import IN_TIME
from qkd_gs.nodes.runtime.context import device_of, station_of
from qkd_gs.nodes.runtime.device import DeviceNode, require_open
from qkd_gs.nodes.runtime.gathered import NEWEST
from qkd_gs.nodes.runtime.in_thread import InThread
from qkd_gs.nodes.runtime.process import run
from qkd_gs.nodes.runtime.qos import TRANSIENT_LOCAL
from qkd_gs.session.durable_file import Reserve
from qkd_gs.session.manifest import session_path
from qkd_gs.session.tag_files import next_tags_path
from qkd_gs.session.writers import writing
from qkd_gs.station.loop_timing import Due
from qkd_gs.timing.recorder import TagCounter, TagRecorder
from qkd_gs.timing.sealed import SealedWriter
from qkd_gs.timing.tags import TagBlock
from qkd_gs.tracking.types import COUNTED, RECORDED, MountTask

UNWRITTEN = 'detector.tags_unwritten'  # fault: tags wait in memory, since the disk does not take them

_POLL_S = 0.1
_RETRY_S = 1.0
_ATTEMPT_NS = 500_000_000


class DetectorNode(DeviceNode):
    """Records one TDC run per session, and a further run if this process was restarted in between."""

    name = 'detector'
    priority = IN_TIME

    def __init__(self) -> None:
        super().__init__()
        self._station = station_of(self)
        self._tdc: Tdc | None = None
        self._run: _Run | None = None
        self._ended: list[_Run] = []  # whose last tags are not on the disk yet
        self._retry = 0
        self._attempt_due = Due(_ATTEMPT_NS)
        self._folder = ''
        self._counter: TagCounter | None = None  # counts starlight; its tags are kept nowhere
        self._task = MountTask.NONE  # of the calibrator
        self._delays: DelayMeasurement | None = None  # holds tags of the calibration light in memory
        self._work: InThread[DelayCalibration] | None = None
        self._counts = self.publisher(m.Counts, 'detector/counts')
        self._told = self.publisher(m.DetectorDelays, 'detector/delays')
        self.gather(m.SessionState, 'session/state', self._session, NEWEST)
        self.listen(UInt8, 'calibrator/busy', self._take_task, TRANSIENT_LOCAL)

    def opened(self) -> None:
        """Connect to the TDC; the key folder, whose public keys seal the tags, must exist."""
        self._keys = find_key_folder(None, simulated=self.simulated)
        self._tdc = device_of(self, TDC, self._station)
        self._tdc.open()

    def started(self) -> None:
        """Be ready for a session."""
        self.while_active(_POLL_S, self._step)

    def stopped(self) -> None:
        """End the run."""
        self._end_counting()
        self._end()

    def closed(self) -> None:
        """Close the TDC."""
        if self._tdc is not None:
            self._tdc.close()
            self._tdc = None

    def _take_task(self, message: UInt8) -> None:
        self._task = MountTask(message.data)

    def _follow_task(self, now_ns: int) -> None:
        """Count while the calibrator measures light or the dark, unless a session records it."""
        wanted = self._task in COUNTED and self._run is None
        if wanted and self._counter is None:
            tdc = require_open(self._tdc)
            getattr(tdc, 'start_between_passes', tdc.start)(now_ns)  # simulated starlight has a source of its own
            self._counter = TagCounter(self._station.source)
        elif not wanted:
            self._end_counting()

    def _end_counting(self) -> None:
        self._delays = self._work = None
        if self._counter is not None:
            self._counter = None
            self._stop_tdc()

    def _measure_delays(self, now_ns: int, block: TagBlock) -> None:
        """Hold the tags of the calibration light until they give the delays, and tell those; nothing else is kept."""
        if self._task is not MountTask.MEASURING_DELAYS:
            self._delays = self._work = None
            return
        if self._delays is None:
            self._delays = DelayMeasurement(now_ns, self._station.calibration_light.tagger_error_ns * 1e3)
        compute = self._delays.take(now_ns, block)
        if compute is not None:
            self._work = InThread('the measurement of the delays', compute)
        if self._work is not None and self._work.result is not None:
            self._told.publish(delays.detector_delays(DelaysTold.of(self._delays.begun_ns, self._work.result)))
            self._work = None

    def _session(self, state: m.SessionState) -> None:
        folder = state.folder if state.phase in RECORDED else ''
        if not self.active or folder == self._folder:
            return
        self._end()
        if folder and self._attempt_due.now(self.clock.now_ns()):
            try:
                self._begin(folder, bytes.fromhex(state.session_id))
            except StationError as error:  # of the disk: it is tried again, the TDC has done nothing wrong
                self.degraded(UNWRITTEN, str(error))

    def _begin(self, name: str, session_id: bytes) -> None:
        """Start a run; if that fails nothing has begun, and the next state of the session tries again."""
        folder, now_ns = session_path(self.sessions_dir, name), self.clock.now_ns()
        self._end_counting()
        with ExitStack() as undo:
            held = writing(folder)
            undo.callback(held.close)
            reserve = self._reserved(folder)
            undo.callback(reserve.release if reserve is not None else lambda: None)
            require_open(self._tdc).start(now_ns)
            undo.callback(self._stop_tdc)
            frozen = self._station.frozen_digest
            writer = SealedWriter(
                next_tags_path(folder),
                session_id,
                self._keys.session_public_key(session_id.hex()),
                now_ns,
                frozen,
                reserve=reserve,
                waits=True,
            )
            recorder = TagRecorder(writer, self._station.source)
            undo.pop_all()
        self._run, self._folder = _Run(name, recorder, held, reserve), name
        self.get_logger().info(f'TDC run started for {name}')
        record = getattr(self._tdc, 'record', None)
        if record is not None:  # the simulated satellite's transmission record
            record.save(folder)

    def _reserved(self, folder: Path) -> Reserve | None:
        """Space for the tags; a run that is begun on a full disk goes without."""
        try:
            return Reserve(folder, round(self._station.storage.tags_reserve_mb * 1e6))
        except StationError as error:
            self.get_logger().warning(str(error))
            return None

    def _end(self) -> None:
        ended, self._run, self._folder = self._run, None, ''
        if ended is None:
            return
        self._ended.append(ended)  # from here on `_finish_runs` keeps it, whatever the TDC does
        try:
            self._stop_tdc()
        finally:
            self._finish_runs(self.clock.now_ns())

    def _stop_tdc(self) -> None:
        require_open(self._tdc).stop(self.clock.now_ns())

    def _finish_runs(self, now_ns: int) -> None:
        """Close the files of ended runs; one that the disk does not take yet is tried again every second."""
        for ended in list(self._ended):
            try:
                ended.close()
            except StationError as error:
                self.degraded(UNWRITTEN, str(error))
            else:
                self._ended.remove(ended)
        if self._ended and not self._retry:
            self._retry = self.every(_RETRY_S, self._finish_runs)
        if not self._ended:
            if self._retry:
                self.cease(self._retry)
                self._retry = 0
            self.recovered(UNWRITTEN)

    def _step(self, now_ns: int) -> None:
        self._follow_task(now_ns)
        if self._counter is not None:
            block = require_open(self._tdc).poll(now_ns)
            full = self._counter.step(now_ns, block)
            if full is not None:
                self._counts.publish(messages.counts(full))
            self._measure_delays(now_ns, block)
            return
        if self._run is None:
            if self.devices.tdc.driver != SIMULATED:
                require_open(self._tdc).poll(now_ns)  # a TDC that is lost between two passes is reported at once
            return
        recorder = self._run.recorder
        full = recorder.step(now_ns, require_open(self._tdc).poll(now_ns))
        if full is not None:
            self._counts.publish(messages.counts(full))
        if recorder.trouble is not None:
            self.degraded(UNWRITTEN, str(recorder.trouble))
        elif not self._ended:
            self.recovered(UNWRITTEN)

    def finish(self) -> None:
        """Stop and close; tags that the disk still does not take are lost with this process."""
        super().finish()
        if self.winding_down:
            for ended in self._ended:
                self.get_logger().error(
                    f'{ended.name}: {ended.abandon() / 8:.0f} tags are lost: the disk did not take them'
                )
            self._ended.clear()


@dataclass(frozen=True)
class _Run:
    """A run of the TDC that is recorded."""

    name: str  # of the session's folder
    recorder: TagRecorder
    held: IO[bytes]  # a place among the session's writers
    reserve: Reserve | None

    def close(self) -> None:
        """Close the files; until that succeeds, who waits for the session's files goes on waiting."""
        self.recorder.close()
        self._release()

    def abandon(self) -> int:
        """Give up what the disk does not take; its number of bytes."""
        lost = self.recorder.abandon()
        self._release()
        return lost

    def _release(self) -> None:
        if self.reserve is not None:
            self.reserve.release()
        self.held.close()


def main(arguments: list[str] | None = None) -> int:
    """Run the node."""
    return run(DetectorNode, arguments)


if __name__ == '__main__':
    raise SystemExit(main())
