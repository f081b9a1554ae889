"""The guard: the process that owns the laser's port and outlives the one that gives it orders.

It switches the laser off when the orders end (the other process was killed, or has closed the device), when they are
late (it hangs), and when it is asked to end itself.  Orders carry the time at which they were given, on the monotonic
clock that all processes of a machine share: one that waited in the pipe while the guard was stopped does not count.
"""

from __future__ import annotations

import json
import os
import resource
import select
import signal
import subprocess
import sys
import time
from importlib import import_module
from typing import IO, Any

from qkd_gs.children import child_environment
from qkd_gs.drivers.guarded_laser.control import LaserControl
from qkd_gs.drivers.guarded_laser.options import LaserOptions
from qkd_gs.drivers.guarded_laser.state import LaserState
from qkd_gs.errors import DeviceFault

_PRIORITY = 20  # real-time, that of the station's fastest loop; its work is 3 % of a processor
_STEP_S = 0.01
_TELL_NS = 20_000_000
_LAST_NS = 5_000_000_000  # to switch off at the end a laser that does not answer
_START_S = 20.0  # to start an interpreter on a busy machine


class GuardProcess:
    """The guard as the beacon's driver sees it.

    Parameters
    ----------
    control : type
        Control of the laser, whose module the process imports.
    power_w : float
        Full power.

    Attributes
    ----------
    state : LaserState
        Newest state that the guard has told.
    """

    def __init__(self, control: type[LaserControl], options: LaserOptions, power_w: float) -> None:
        self._arguments = [control.__module__, control.__name__, options.model_dump_json(), repr(power_w)]
        self._process: subprocess.Popen[bytes] | None = None
        self._told = bytearray()
        self.state = LaserState()

    def start(self) -> None:
        """Start the process and wait until it runs; it begins by switching the laser off.

        Raises
        ------
        DeviceFault
            ``beacon.guard``: it does not start.
        """
        for process in _children:  # one before it may still have the port
            try:
                process.wait(_LAST_NS * 1e-9)
            except subprocess.TimeoutExpired:
                process.kill()
        self._launch()
        end_s = time.monotonic() + _START_S
        while not self.poll():
            if time.monotonic() > end_s:
                self.close()
                raise DeviceFault('beacon.guard', f'the guard process has not started within {_START_S:g} s')
            select.select([self._output], [], [], _STEP_S)

    def _launch(self) -> None:
        self._told.clear()
        self.state = LaserState()
        self._process = subprocess.Popen(
            [sys.executable, '-m', __name__, *self._arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=child_environment(os.environ),
            start_new_session=True,  # Ctrl-C in the terminal is for the node, whose end the guard notices
        )
        os.set_blocking(self._input.fileno(), False)
        os.set_blocking(self._output.fileno(), False)

    @property
    def _input(self) -> IO[bytes]:
        assert self._process is not None
        assert self._process.stdin is not None
        return self._process.stdin

    @property
    def _output(self) -> IO[bytes]:
        assert self._process is not None
        assert self._process.stdout is not None
        return self._process.stdout

    def order(self, on: bool) -> None:
        """Emit for the watchdog time, or switch off.

        Raises
        ------
        DeviceFault
            ``beacon.guard``: the guard takes no orders; `replace` it.
        """
        if self._process is None:
            return
        try:
            os.write(self._input.fileno(), f'{"on" if on else "off"} {time.monotonic_ns()}\n'.encode('ascii'))
        except OSError as error:
            raise DeviceFault('beacon.guard', f'the guard process takes no orders: {error}') from error

    def poll(self) -> bool:
        """Read what the guard has told; whether there was anything.

        Raises
        ------
        DeviceFault
            ``beacon.guard``: the guard process has ended.
        """
        heard = False
        while True:
            try:
                data = os.read(self._output.fileno(), 65536)
            except BlockingIOError:
                return heard
            if not data:
                raise DeviceFault('beacon.guard', 'the guard process of the laser has ended')
            self._told += data
            *lines, rest = self._told.split(b'\n')
            self._told = bytearray(rest)
            if lines:
                self.state, heard = LaserState(**json.loads(lines[-1])), True

    def age_ns(self) -> int:
        """Age of the state."""
        return time.monotonic_ns() - self.state.at_ns

    def replace(self) -> None:
        """Kill a guard that hangs or has died, and start another one, which switches the laser off; does not wait."""
        self._end(kill=True)
        self._launch()

    def close(self) -> None:
        """Let the guard switch the laser off and end; does not wait for it."""
        self._end(kill=False)

    def _end(self, kill: bool) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        if kill:
            process.kill()
            process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                try:
                    pipe.close()
                except OSError:
                    pass  # an order that nobody reads any more
        _children.append(process)
        _children[:] = [one for one in _children if one.poll() is None]


_children: list[subprocess.Popen[bytes]] = []  # that are ending; kept so that they can be reaped


class Guard:
    """Loop of the guard process.

    Parameters
    ----------
    orders, told : int
        File descriptors: orders come in, states go out.
    """

    def __init__(self, control: LaserControl, orders: int, told: int) -> None:
        self._control, self._orders, self._told = control, orders, told
        self._rest = b''
        self._told_ns = 0
        self.ending = False
        os.set_blocking(orders, False)
        os.set_blocking(told, False)

    def run(self) -> int:
        """Run until the orders end and the laser is off; an error of this program switches it off, too."""
        try:
            while not self.ending:
                select.select([self._orders], [], [], _STEP_S)
                self.step(time.monotonic_ns())
        finally:
            self._switch_off()
        self._control.close()
        return 0 if self._control.state.off_confirmed else 1

    def _switch_off(self) -> None:
        self._control.send_off()  # at once, and whatever state an error has left
        end_ns = time.monotonic_ns() + _LAST_NS
        while not self._control.state.off_confirmed and time.monotonic_ns() < end_ns:
            self._control.order(False, time.monotonic_ns())
            self._control.step(time.monotonic_ns())
            time.sleep(_STEP_S)

    def step(self, now_ns: int) -> None:
        """Take the orders, drive the laser, tell its state."""
        self._take_orders()
        self._control.step(now_ns)
        if now_ns - self._told_ns >= _TELL_NS:
            self._told_ns = now_ns
            self._tell(self._control.state)

    def _take_orders(self) -> None:
        try:
            data = os.read(self._orders, 65536)
        except BlockingIOError:
            return
        if not data:
            self.ending = True
        *lines, self._rest = (self._rest + data).split(b'\n')
        for line in lines:
            word, _, at_ns = line.decode('ascii').partition(' ')
            self._control.order(word == 'on', int(at_ns))

    def _tell(self, state: LaserState) -> None:
        try:
            os.write(self._told, json.dumps(state.to_dict()).encode('ascii') + b'\n')
        except BlockingIOError:
            pass  # the other process hangs; its orders will be late, too
        except OSError:
            self.ending = True


def main(arguments: list[str]) -> int:
    """Run a guard with module and class of the laser's control, options as JSON and the full power in W."""
    module, name, options, power_w = arguments
    control = getattr(import_module(module), name)
    laser = control(control.Options.model_validate_json(options), float(power_w))
    guard = Guard(laser, sys.stdin.fileno(), sys.stdout.fileno())

    def end(*_: Any) -> None:
        guard.ending = True

    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(number, end)
    _, hard = resource.getrlimit(resource.RLIMIT_RTTIME)
    resource.setrlimit(resource.RLIMIT_RTTIME, (hard, hard))  # the node's own limit would end this process
    try:
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(_PRIORITY))
    except PermissionError:
        pass  # as the nodes, it then shares the processors with everything else
    return guard.run()


if __name__ == '__main__':
    raise SystemExit(main(sys.argv[1:]))
