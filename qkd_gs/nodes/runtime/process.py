"""Main function of a node's process: start, spin, shut down."""

from __future__ import annotations

import faulthandler
import gc
import logging
import signal
import sys
import time
from collections.abc import Callable
from typing import Any

import rclpy
import rclpy.utilities
from rclpy.experimental.events_executor import EventsExecutor
from rclpy.signals import SignalHandlerOptions

from qkd_gs.errors import StationError
from qkd_gs.nodes.runtime.real_time import RealTime
from qkd_gs.station.dds_profile import use_loopback_profile
from qkd_gs.station.hang_watch import SAY_WHERE

_SPIN_S = 0.1  # a signal is noticed after so long
_WIND_DOWN_S = 2.2  # to bring the mount towards its park position
_SIGNALS = signal.SIGINT, signal.SIGTERM
_AGE_LOG = 'qkd_gs.orbit.elements'


def run(make: Callable[[], Any], arguments: list[str] | None = None) -> int:
    """Run a node in this process until SIGINT or SIGTERM.

    Returns
    -------
    int
        0 ended on request, 2 refused to start (one sentence on standard error).
    """
    faulthandler.register(SAY_WHERE)
    use_loopback_profile()
    ending = Ending()
    for number in _SIGNALS:
        signal.signal(number, lambda *_: ending.tell(time.monotonic()))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)  # as the server that forks nodes has blocked SIGINT
    logging.getLogger(_AGE_LOG).setLevel(
        logging.ERROR
    )  # most nodes load the elements; the planner says how old they are
    rclpy.init(args=arguments, signal_handler_options=SignalHandlerOptions.NO)
    try:
        node = make()
    except StationError as error:
        print(f'{make.__name__}: {error}', file=sys.stderr)  # noqa: T201  the logger adds time and name to it
        rclpy.utilities.try_shutdown()
        return 2
    real_time, look_s = RealTime(node.priority), 0.0
    executor = EventsExecutor()
    executor.add_node(node)
    gc.collect()
    gc.freeze()  # these objects live as long as the process; collecting them again would cost milliseconds in the loop
    try:
        while not ending.over(time.monotonic(), node) and not node.finalized:
            try:
                executor.spin_once(timeout_sec=node.schedule.wait_s(time.monotonic(), _SPIN_S))
            except Exception as error:  # noqa: BLE001  our callbacks are guarded; this is rclpy's own, e.g. an impossible transition
                node.get_logger().warning(f'refused: {error}')
            now_s = time.monotonic()
            node.schedule.run(now_s)
            if now_s >= look_s:
                look_s = now_s + _SPIN_S
                if real_time.step(now_s, time.process_time(), node.clock.speed):
                    node.say_priority(real_time.budget)
    finally:
        node.finish()
        executor.shutdown()
        node.destroy_node()
        rclpy.utilities.try_shutdown()
        for number in _SIGNALS:  # a second signal while Python ends would look like a crash
            signal.signal(number, signal.SIG_IGN)
    return 0


def say_age_of_elements() -> None:
    """Let this process log how old the orbit elements are; one node of a station does."""
    logging.getLogger(_AGE_LOG).setLevel(logging.NOTSET)


class Ending:
    """Decides when a process ends after a request: once wound down, or after a time limit."""

    def __init__(self) -> None:
        self._first_s: float | None = None

    def tell(self, now_s: float) -> None:
        """Take a request to end; more change nothing, since terminal and `ros2 launch` each send one at Ctrl-C."""
        if self._first_s is None:
            self._first_s = now_s

    def over(self, now_s: float, node: Any) -> bool:
        """Whether the process may end."""
        if self._first_s is None:
            return False
        if not node.winding_down:
            node.winding_down = True
            node.wind_down()
        return bool(node.may_end) or now_s - self._first_s > _WIND_DOWN_S
