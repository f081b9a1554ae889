"""Makes the key of every session that has ended: the one process that can open the sealed tags."""

from __future__ import annotations

import threading
import traceback
from dataclasses import asdict
from math import isfinite, nan
from queue import Queue
from typing import Any

import qkd_gs.msg as m
from qkd_gs.errors import DeviceFault, StationError
from qkd_gs.keys.folder import KeyFolder, find_key_folder
from qkd_gs.nodes.conversions import messages
from qkd_gs.nodes.runtime.base import LATCHED, CoreNode
from qkd_gs.nodes.runtime.context import station_of
from qkd_gs.nodes.runtime.process import run
from qkd_gs.nodes.runtime.station_metrics import OwnFigures
from qkd_gs.tracking.record.manifest_keeper import finite
from qkd_gs.tracking.types import Phase

_LOOK_S = 0.1  # of real time
_NOTHING_KNOWN: dict[str, Any] = {
    'message': '',
    'fraction': nan,
    'sifted_bits': -1,
    'secret_bits': -1,
    'qber': nan,
    'sync_rms_ns': nan,
    'epsilon': nan,
}


class PostProcessorNode(CoreNode):
    """Works in a thread of its own, so that the heartbeat goes on."""

    name = 'post_processor'

    def __init__(self) -> None:
        super().__init__()
        self._keys: KeyFolder = find_key_folder(None, simulated=self.simulated)
        self._states = self.publisher(m.KeyState, 'key/state', LATCHED)
        self._said = m.KeyState(simulated=self.simulated, **_NOTHING_KNOWN)
        self._folder = ''
        self._own = OwnFigures(self, station_of(self).tracking)
        self._heard_all = False
        self._todo: Queue[tuple[str, dict[str, Any] | None]] = Queue()
        self._news: Queue[dict[str, Any]] = Queue()
        self.listen(m.SessionState, 'session/state', self._session)
        self.create_timer(_LOOK_S, self.guarded(self._tell), clock=self._steady)
        self._tell_now({})
        threading.Thread(target=self._work, name='post-processing', daemon=True).start()

    def _session(self, state: m.SessionState) -> None:
        if self._folder and state.folder != self._folder:
            self._todo.put((self._folder, finite(asdict(self._own.figures())) if self._heard_all else None))
        if state.folder and state.folder != self._folder:
            self._own.begin_anew()
            self._heard_all = state.phase == Phase.SLEW  # else this process was begun anew in mid-pass
        self._folder = state.folder

    def _work(self) -> None:
        """In a thread: nothing of rclpy is touched here."""
        from qkd_gs.station.finish_session import after_pass

        while True:
            name, own = self._todo.get()
            self._news.put({'folder': name, 'state': m.KeyState.WORKING, 'step': 'waiting for the last files'})
            try:
                folder, recorded = self.sessions_dir / name, bool(self.options['record'])
                self._news.put(_told(after_pass(folder, self._keys, recorded, own, self._progress)))
            except (StationError, DeviceFault) as error:
                self._news.put({'state': m.KeyState.FAILED, 'message': str(error)})
            except Exception as error:  # noqa: BLE001  the thread must live on for the next session
                message = f'{type(error).__name__}: {error}'
                self._news.put({'state': m.KeyState.FAILED, 'message': message, 'trace': traceback.format_exc()})

    def _progress(self, step: str, fraction: float) -> None:
        self._news.put({'step': step, 'fraction': float(fraction)})

    def _tell(self) -> None:
        news: dict[str, Any] = {}
        while not self._news.empty():
            fresh = self._news.get()
            if fresh.get('state') == m.KeyState.WORKING:
                news = dict(_NOTHING_KNOWN)
            news |= fresh
        if news:
            self._tell_now(news)

    def _tell_now(self, news: dict[str, Any]) -> None:
        trace = news.pop('trace', '')
        for name, value in news.items():
            setattr(self._said, name, value)
        if self._said.state == m.KeyState.FAILED and 'message' in news:
            self.get_logger().error(f'{self._said.folder}: {self._said.message}\n{trace}'.rstrip())
        if self._said.state == m.KeyState.DONE and 'secret_bits' in news:
            self.get_logger().info(f'{self._said.folder}: {self._said.secret_bits} secret bits {self._said.message}')
        self._said.header = messages.header(self.clock.now_ns() if self.clock.latched else 0)
        self._states.publish(self._said)


def _told(result: dict[str, Any]) -> dict[str, Any]:
    """What of a result goes onto a topic: lengths and rates."""
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
