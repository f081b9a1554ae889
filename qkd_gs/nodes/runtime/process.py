"""The life of a node's process, from start to stop."""

from __future__ import annotations

import gc
import os
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
from qkd_gs.station.dds_profile import local_only

_SPIN_S = 0.1  # a signal is noticed after so long
_WIND_DOWN_S = 2.2  # to bring the mount towards its park position
_SAME_ORDER_S = 0.5
_ORDERS = signal.SIGINT, signal.SIGTERM


def run(make: Callable[[], Any], arguments: list[str] | None = None) -> int:
    """The life of a node's process, until SIGINT or SIGTERM.

    Returns
    -------
    int
        0 ended as asked, 2 refused to start (one sentence on standard error).
    """
    local_only()
    ending = Ending()
    for number in _ORDERS:
        signal.signal(number, lambda *_: ending.tell(time.monotonic()))
    rclpy.init(args=arguments, signal_handler_options=SignalHandlerOptions.NO)
    try:
        node = make()
    except StationError as error:
        print(f'{make.__name__}: {error}', file=sys.stderr)  # noqa: T201  the logger adds time and name to it
        rclpy.utilities.try_shutdown()
        return 2
    if node.priority:
        _go_first(node.priority)
    executor = EventsExecutor()
    executor.add_node(node)
    gc.collect()
    gc.freeze()  # what is there stays: collecting it again and again would cost milliseconds in the loop
    try:
        while not ending.over(time.monotonic(), node):
            try:
                executor.spin_once(timeout_sec=_SPIN_S)
            except Exception as error:  # noqa: BLE001  ours are guarded: rclpy's own, e.g. a transition that is not possible
                node.get_logger().warning(f'refused: {error}')
    finally:
        node.finish()
        executor.shutdown()
        node.destroy_node()
        rclpy.utilities.try_shutdown()
        for number in _ORDERS:  # one that comes again while Python ends would look like a crash
            signal.signal(number, signal.SIG_IGN)
    return 0


class Ending:
    """When a process that was told to end does so: once it has wound down, was told again, or has no time left."""

    def __init__(self) -> None:
        self._first_s: float | None = None
        self._again = False

    def tell(self, now_s: float) -> None:
        """An order to end; at Ctrl-C one comes from the terminal and one from `ros2 launch`, which count as one."""
        if self._first_s is None:
            self._first_s = now_s
        self._again = self._again or now_s - self._first_s > _SAME_ORDER_S

    def over(self, now_s: float, node: Any) -> bool:
        """Whether the process may end."""
        if self._first_s is None:
            return False
        if not node.winding_down:
            node.winding_down = True
            node.wind_down()
        return bool(node.may_end) or self._again or now_s - self._first_s > _WIND_DOWN_S


def _go_first(priority: int) -> None:
    """Take the processors before what can wait, with all threads; where the rights do not allow it, go without."""
    for thread in map(int, os.listdir('/proc/self/task')):  # those of DDS, which bring the messages, were there before
        try:
            os.sched_setscheduler(thread, os.SCHED_RR, os.sched_param(priority))
        except ProcessLookupError:  # it has just ended
            continue
        except PermissionError:
            return
