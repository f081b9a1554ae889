"""A whole station of real processes with simulated devices, and a node of the test's own in its graph."""

from __future__ import annotations

import os
import re
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import qkd_gs.msg as m
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from leaving import leave_graph
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from rcl_interfaces.srv import SetParameters
from rclpy.context import Context
from rclpy.experimental.events_executor import EventsExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.signals import SignalHandlerOptions
from ros_domain import own_domain, whole_machine

from qkd_gs.nodes.runtime.authentic import SigningPublisher, is_signed
from qkd_gs.nodes.runtime.qos import RELIABLE, TRANSIENT_LOCAL
from qkd_gs.pointing.pointing_file import FILE_NAME, load_pointing
from qkd_gs.sim.remote.bus import Bus, bus_path
from qkd_gs.station.authenticity import station_key
from qkd_gs.station.demo_station import AT, calibrated, write_settings
from qkd_gs.station.graph import NODES, station_graph
from qkd_gs.station.processes import StationProcesses
from qkd_gs.station.station_clock import ClockMapping, StationClock

WAIT_S = 600.0  # ends a test that fails; nothing is concluded from it
RECORD = find_spec('qkd_gs.nodes.recorder_node') is not None
LIFECYCLE = tuple(spec.name for spec in NODES if spec.lifecycle)


@contextmanager
def running_station(
    tmp_path_factory: pytest.TempPathFactory, el_deg: float = 42.0, calibrated: bool = True, **options: Any
) -> Iterator[GraphStation]:
    """A station, calibrated or not, with every node active; stopped at the end."""
    with whole_machine(), own_domain() as domain:
        environment = {'ROS_DOMAIN_ID': str(domain)}
        base = tmp_path_factory.getbasetemp()
        shared = base.parent if 'PYTEST_XDIST_WORKER' in os.environ else base
        place = tmp_path_factory.mktemp('station')
        pointing = calibrate_once(shared) if calibrated else None
        station = GraphStation(place, environment, pointing, el_deg, **options)
        try:
            yield station.start()
        finally:
            station.close()


def calibrate_once(shared: Path) -> Path:
    """Folder with the pointing of seed 1, as the evening before leaves it; made by the first test that asks."""
    folder = shared / 'graph-pointing'
    if not (folder / FILE_NAME).exists():
        folder.mkdir(parents=True, exist_ok=True)
        calibrated(write_settings(folder / 'station.yaml', 42), seed=1).save(folder)
    return folder


class GraphStation:
    """A running station.

    Parameters
    ----------
    pointing : Path or None
        From `calibrate_once`.
    options : Value
        Of the station.

    Attributes
    ----------
    heard : dict
        Messages by topic, oldest first, of the topics that `hear` was told.
    beats : dict
        Newest heartbeat of each node: its values, and the wall time (monotonic) when it was heard.
    clock : StationClock
        As the station publishes it.
    """

    def __init__(
        self, place: Path, environment: dict[str, str], pointing: Path | None, el_deg: float = 42.0, **options: Any
    ) -> None:
        self.place = place
        self.sessions, self.state, self.logs, self.keys = (place / n for n in ('sessions', 'state', 'logs', 'keys'))
        write_settings(place / 'station.yaml', el_deg)
        if pointing is not None:
            load_pointing(pointing).save(self.state)
        chosen = {
            'station': str(place / 'station.yaml'),
            'sessions_dir': str(self.sessions),
            'state_dir': str(self.state),
            'record': RECORD,
            'at': AT,
            'lead_s': 30.0,
        }
        graph = station_graph(chosen | options)
        self.names = [process.spec.name for process in graph]
        self.lines: list[tuple[str, str]] = []
        self.processes = StationProcesses(
            graph,
            self.logs,
            lambda name, line: self.lines.append((name, line)),
            environment | {'QKD_GS_KEYS': str(self.keys)},
        )
        self.supervised = True
        self.heard: dict[str, list[Any]] = {}
        self.beats: dict[str, tuple[float, dict[str, str]]] = {}
        self.clock = StationClock(must_be_set=True)
        self._context = Context()
        rclpy.init(args=[], context=self._context, signal_handler_options=SignalHandlerOptions.NO)
        self.node = Node('test', context=self._context, start_parameter_services=False, enable_rosout=False)
        self._executor = EventsExecutor(context=self._context)
        self._executor.add_node(self.node)
        self.node.create_subscription(DiagnosticArray, '/diagnostics', self._beat, RELIABLE)
        self.node.create_subscription(m.StationClock, 'station_clock', self._set_clock, TRANSIENT_LOCAL)
        self._publishers: dict[tuple[str, bool], Any] = {}
        self.bus = Bus(bus_path('', environment['ROS_DOMAIN_ID']), lambda: self.clock.began_ns)

    def _beat(self, message: DiagnosticArray) -> None:
        for status in message.status:
            values = {pair.key: pair.value for pair in status.values} | {'message': status.message}
            self.beats[status.hardware_id] = time.monotonic(), values

    def _set_clock(self, message: m.StationClock) -> None:
        self.clock.set(ClockMapping(message.epoch_ns, message.monotonic_ns, message.speed), message.began_ns)

    def start(self) -> GraphStation:
        """Start every node, and wait until all are active."""
        self.processes.start()
        self.until(self.all_active, 'every node is active')
        return self

    def leave(self) -> None:
        """Hear nothing any more.

        A station's end takes hundreds of writers away at once, and a process that hears of it may then hang in a
        deadlock of Fast DDS (eProsima/Fast-DDS issue 6502).  The station's own processes have somebody to end them.
        """
        if not self._context.ok():
            return
        leave_graph(self._executor, self.node, self._context)

    def close(self) -> None:
        """Stop everything."""
        try:
            self.leave()
        finally:
            self.processes.stop()

    # --- what it does ---

    def spin(self, seconds: float) -> None:
        """Hear what comes, and restart what has died."""
        if self.supervised:
            self.processes.watch(time.monotonic())
        until_s = time.monotonic() + seconds
        while (left_s := until_s - time.monotonic()) > 0:
            self._executor.spin_once(timeout_sec=left_s)
        self.bus.poll()

    def until(self, done: Callable[[], Any], what: str, step_s: float = 0.02) -> Any:
        """Wait until `done` gives something true, and give that."""
        end_s = time.monotonic() + WAIT_S
        while not (found := done()):
            assert time.monotonic() < end_s, f'never: {what}\n{self.told()}'
            self.spin(step_s)
        return found

    def told(self) -> str:
        """What may explain a failure."""
        states = {
            name: {k: v for k, v in values.items() if k in ('state', 'fault', 'message')}
            for name, (_, values) in self.beats.items()
        }
        return '\n'.join(
            [
                str(states),
                str({t: len(g) for t, g in self.heard.items()}),
                *(f'[{n}] {line}' for n, line in self.lines[-40:]),
            ]
        )

    def hear(self, kind: type, topic: str, qos: Any = RELIABLE) -> list[Any]:
        """Messages of a topic from now on."""
        if topic not in self.heard:
            self.heard[topic] = []
            self.node.create_subscription(kind, topic, self.heard[topic].append, qos)
        return self.heard[topic]

    def overhear(self, channel: str) -> list[Any]:
        """Values of a channel of the simulated devices' bus from now on."""
        name = f'bus {channel}'
        if name not in self.heard:
            self.heard[name] = []
            self.bus.listen(channel, object, self.heard[name].append)
        return self.heard[name]

    def say(self, topic: str, message: Any, qos: Any = RELIABLE, stranger: bool = False) -> None:
        """Publish as a process of the station, or as a stranger."""
        if (topic, stranger) not in self._publishers:
            publisher = self.node.create_publisher(type(message), topic, qos)
            signs = is_signed(type(message)) and not stranger
            self._publishers[topic, stranger] = (
                SigningPublisher(publisher, station_key(self.state)) if signs else publisher
            )
        self._publishers[topic, stranger].publish(message)

    def call(self, kind: type, name: str, request: Any) -> Any:
        """Call a service."""
        client = self.node.create_client(kind, name)
        self.until(client.service_is_ready, f'{name} is there')
        future = client.call_async(request)
        self.until(future.done, f'{name} answers')
        self.node.destroy_client(client)
        return future.result()

    def change(self, name: str, transition: int) -> bool:
        """Take a node through a lifecycle transition, as an operator does."""
        request = ChangeState.Request(transition=Transition(id=transition))
        return bool(self.call(ChangeState, f'{name}/change_state', request).success)

    def set(self, name: str, **values: Any) -> list[Any]:
        """Set parameters of a node; the results."""
        request = SetParameters.Request(
            parameters=[
                Parameter(key.replace('__', '.'), value=value).to_parameter_msg() for key, value in values.items()
            ]
        )
        return list(self.call(SetParameters, f'{name}/set_parameters', request).results)

    # --- how it is ---

    def state_of(self, name: str) -> str:
        """As its newest heartbeat says."""
        return self.beats[name][1]['state'] if name in self.beats else ''

    def all_active(self) -> bool:
        """Whether every node is."""
        pids = self.processes.pids()
        return all(self.is_active(name, pids[name]) for name in self.names)

    def is_active(self, name: str, pid: int) -> bool:
        """Whether that process of a node is."""
        values = self.beats[name][1] if name in self.beats else {}
        return values.get('pid') == str(pid) and values['state'] == 'active' and not values['fault']

    def kill(self, name: str, number: int = signal.SIGKILL) -> int:
        """Send a signal to one node; its process."""
        pid = self.processes.pids()[name]
        os.kill(pid, number)
        return pid

    def beats_more(self, name: str, count: int) -> None:
        """Wait for so many further heartbeats of a node."""
        for _ in range(count):
            heard_s = self.beats[name][0]
            self.until(lambda heard_s=heard_s: self.beats[name][0] > heard_s, f'{name} is heard')

    def back(self, name: str, pid: int) -> None:
        """Wait until another process than `pid` is active under the name."""

        def back() -> bool:
            now = self.processes.pids()[name]
            return now != pid and self.is_active(name, now)

        self.until(back, f'{name} is back')


def log_of(station: GraphStation, name: str) -> str:
    """What a node has said."""
    return (station.logs / f'{name}.log').read_text(encoding='utf-8')


def sockets_of(pids: set[int]) -> list[str]:
    """Local addresses (host, without port) of all IP sockets of these processes, as the kernel lists them.

    Only root sees those of a process that holds keys.
    """
    inodes = set()
    for pid in pids:
        if not os.access(f'/proc/{pid}/fd', os.R_OK):
            continue
        for link in Path(f'/proc/{pid}/fd').iterdir():
            try:
                target = os.readlink(link)
            except FileNotFoundError:  # closed meanwhile
                continue
            if found := re.fullmatch(r'socket:\[(\d+)\]', target):
                inodes.add(found[1])
    hosts = []
    for table in ('udp', 'udp6', 'tcp', 'tcp6'):
        for line in Path(f'/proc/net/{table}').read_text(encoding='ascii').splitlines()[1:]:
            fields = line.split()
            if fields[9] in inodes:
                hosts.append(_host(fields[1].split(':')[0]))
    return hosts


def _host(hexadecimal: str) -> str:
    """Address of /proc/net: 32-bit words, each in the machine's (little-endian) order."""
    import ipaddress

    words = [bytes.fromhex(hexadecimal[i : i + 8])[::-1] for i in range(0, len(hexadecimal), 8)]
    return str(ipaddress.ip_address(b''.join(words)))
