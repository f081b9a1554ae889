"""Post-processor node: makes the key of every session, after it or meanwhile; no other process can open sealed tags."""

from __future__ import annotations

import threading
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from functools import partial
from math import isfinite, nan
from pathlib import Path
from queue import Queue
from typing import Any

import qkd_gs.msg as m
from qkd_gs.errors import DeviceFault, StationError, in_words
from qkd_gs.keys.delivery.stock import StockWatch
from qkd_gs.keys.folder import KeyFolder, find_key_folder
from qkd_gs.nodes.conversions import messages
from qkd_gs.nodes.runtime.base import CoreNode
from qkd_gs.nodes.runtime.context import station_of
from qkd_gs.nodes.runtime.process import run
from qkd_gs.nodes.runtime.qos import TRANSIENT_LOCAL
from qkd_gs.nodes.runtime.station_metrics import StationMetrics
from qkd_gs.session.manifest import (
    FINISHED,
    KEY,
    load_manifest,
    session_path,
    sessions_without_key,
    update_manifest,
)
from qkd_gs.tracking.record.manifest_writer import RESUMED, finite
from qkd_gs.tracking.types import Phase

_POLL_S = 0.1  # of real time
_BEFORE = (Phase.SLEW, Phase.WAIT)  # nothing of the pass was measured yet
_UNKNOWN: dict[str, Any] = {
    'message': '',
    'fraction': nan,
    'sifted_bits': -1,
    'secret_bits': -1,
    'qber': nan,
    'sync_rms_ns': nan,
    'epsilon': nan,
}


_BITS = ('sifted_bits', 'secret_bits')
Work = Callable[[Path], None]


class PostProcessorNode(CoreNode):
    """Processes sessions in a thread of its own, so that the heartbeat continues."""

    name = 'post_processor'

    def __init__(self) -> None:
        super().__init__()
        self._keys: KeyFolder = find_key_folder(None, simulated=self.simulated)
        self._stock = StockWatch(self._keys, self.simulated)
        self._states = self.publisher(m.KeyState, 'key/state', TRANSIENT_LOCAL)
        self._state = m.KeyState(simulated=self.simulated, **_UNKNOWN)
        self._folder = ''
        self._metrics = StationMetrics(self.gather, station_of(self).tracking)
        self._heard_from_start = self._taken_up = False
        self._work_left: Queue[tuple[str, Work]] = Queue()
        self._updates: Queue[dict[str, Any]] = Queue()
        self.gather(m.SessionState, 'session/state', self._session)
        self.every_real(_POLL_S, self._publish_updates)
        self._publish({})
        threading.Thread(target=self._work, name='post-processing', daemon=True).start()

    def own_values(self) -> dict[str, str]:
        """Stock of the key store."""
        return self._stock.values()

    def own_warning(self) -> str:
        """Few keys are left for applications."""
        return self._stock.warning()

    def _session(self, state: m.SessionState) -> None:
        if not self._taken_up:
            self._take_up(state.folder)
        if self._folder and state.folder != self._folder:
            own = finite(asdict(self._metrics.metrics())) if self._heard_from_start else None
            self._work_left.put((self._folder, partial(self._after_pass, own)))
        if state.folder and state.folder != self._folder:
            self._metrics.reset()
            self._heard_from_start = state.phase in _BEFORE and not self._resumed(state.folder)
            self._work_left.put((state.folder, self._meanwhile))
        self._folder = state.folder

    def _take_up(self, under_way: str) -> None:
        """Continue with the sessions of a process that was killed; of a pass under way its end is told."""
        self._taken_up = True
        for folder in sessions_without_key(self.sessions_dir):
            if folder.name != under_way:
                self.get_logger().warning(f'{folder.name}: its key was not finished, it is made now')
                self._work_left.put((folder.name, partial(self._after_pass, None)))

    def _resumed(self, folder: str) -> bool:
        """Whether the tracker was restarted in this pass: then it slews again, but part of the pass is over."""
        try:
            return RESUMED in load_manifest(session_path(self.sessions_dir, folder)).run
        except StationError as error:
            self.get_logger().warning(str(error))
            return True  # nothing is known of it; the bag has the figures

    def _work(self) -> None:
        """Process sessions in the background thread; uses nothing of rclpy."""
        from qkd_gs.station.usage import give_back_memory

        while True:
            name, work = self._work_left.get()
            try:
                work(session_path(self.sessions_dir, name))
            except (StationError, DeviceFault) as error:
                self._updates.put({'state': m.KeyState.FAILED, 'message': str(error)})
            except Exception as error:  # noqa: BLE001  the thread must live on for the next session
                told = {'state': m.KeyState.FAILED, 'message': in_words(error), 'trace': traceback.format_exc()}
                self._updates.put(told)
            give_back_memory()

    def _meanwhile(self, folder: Path) -> None:
        """Make the key of a pass in parts while it is recorded, if that is wanted."""
        from qkd_gs.station.satellite_link import is_made_live, make_key_live

        try:
            if not is_made_live(folder):
                return
            self._updates.put({'folder': folder.name, 'state': m.KeyState.WORKING, 'step': 'waiting for the pass'})
            key = make_key_live(folder, self._keys, self._progress)['key']
        except (StationError, DeviceFault) as error:  # the pass goes on, and is processed when it is over
            self._updates.put({'warning': f'{folder.name}: no key before its end: {error}'})
        else:
            self._updates.put({'step': 'key stored', 'fraction': 1.0, 'secret_bits': int(key['secret_bits'])})

    def _after_pass(self, own: dict[str, Any] | None, folder: Path) -> None:
        """Finish a session; of one whose key was made meanwhile, the rest."""
        from qkd_gs.station.finish_session import after_pass

        self._updates.put({'folder': folder.name, 'state': m.KeyState.WORKING, 'step': 'waiting for the last files'})
        try:
            made = after_pass(folder, self._keys, own, self._progress)
        except StationError:
            _finish(folder)  # it allows no key, and would not at the next start
            raise
        self._updates.put(_key_state(made))
        _finish(folder)

    def _progress(self, step: str, fraction: float) -> None:
        self._updates.put({'step': step, 'fraction': float(fraction)})

    def _publish_updates(self) -> None:
        self.fetch()
        update: dict[str, Any] = {}
        while not self._updates.empty():
            fresh = self._updates.get()
            if fresh.get('state') == m.KeyState.WORKING:
                update = dict(_UNKNOWN)
            update |= fresh
        if update:
            self._publish(update)

    def _publish(self, update: dict[str, Any]) -> None:
        trace = update.pop('trace', '')
        if warning := update.pop('warning', ''):
            self.get_logger().warning(warning)
        for name, value in update.items():
            setattr(self._state, name, value)
        if self._state.state == m.KeyState.FAILED and 'message' in update:
            self.get_logger().error(f'{self._state.folder}: {self._state.message}\n{trace}'.rstrip())
        if self._state.state == m.KeyState.DONE and 'secret_bits' in update:
            self.get_logger().info(f'{self._state.folder}: {self._state.secret_bits} secret bits {self._state.message}')
        self._state.header = messages.header(self.clock.now_ns() if self.clock.is_set else 0)
        self._states.publish(self._state)


def _finish(folder: Path) -> None:
    """Note in a session that its post-processing is over; without the note the next process tries again."""
    with suppress(StationError):
        update_manifest(folder, lambda now: {'run': now.run | {KEY: FINISHED}})


def _key_state(result: dict[str, Any] | None) -> dict[str, Any]:
    """Part of a result that is published: lengths and rates."""
    if result is None:
        return {'state': m.KeyState.DONE, 'message': 'the satellite was never locked'} | dict.fromkeys(_BITS, 0)
    timing, key = result['timing'], result['key']
    return {
        'state': m.KeyState.DONE,
        'step': 'done',
        'fraction': 1.0,
        'sifted_bits': int(key['sifted_bits']),
        'secret_bits': int(key['secret_bits']),
        'qber': _number(key['qber']),
        'sync_rms_ns': _number(timing['sync_rms_ns']),
        'epsilon': _number(key['epsilon']),
        'message': str(key.get('reason') or ''),
    }


def _number(value: float | None) -> float:
    return float(value) if value is not None and isfinite(value) else nan


def main(arguments: list[str] | None = None) -> int:
    """Run the node."""
    return run(PostProcessorNode, arguments)


if __name__ == '__main__':
    raise SystemExit(main())
