"""A graph of one test alone: the test as all other nodes, and the process under test."""

import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from threading import Thread

import qkd_gs.msg as m
import rclpy
from leaving import destroy, leave_graph
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from std_srvs.srv import Trigger

from qkd_gs.nodes.runtime.authentic import SigningPublisher, is_signed
from qkd_gs.station.authenticity import station_key
from qkd_gs.station.processes import fork_node

WAIT_S = 300.0  # ends a test that fails; nothing is concluded from it
PERIOD_S = 0.02
DEEP = QoSProfile(depth=5000, reliability=ReliabilityPolicy.RELIABLE)  # who is not served for seconds loses nothing


class Station:
    """All other nodes of a graph.  Publishes what a station would; keeps what it hears, newest last, by topic."""

    def __init__(self):
        self.context = Context()
        rclpy.init(args=[], context=self.context)
        self.node = Node('station', context=self.context)
        self.executor = SingleThreadedExecutor(context=self.context)
        self.executor.add_node(self.node)
        self.heard = {}
        self.state_dir = None
        self._publishers = {}

    def hear(self, kind, topic, qos=DEEP):
        self.heard[topic] = []
        self.node.create_subscription(kind, topic, self.heard[topic].append, qos)

    def say(self, topic, message, qos=DEEP):
        """Publish; in a station whose state folder is known as one of its processes."""
        if topic not in self._publishers:
            publisher = self.node.create_publisher(type(message), topic, qos)
            mine = self.state_dir is not None and is_signed(type(message))
            self._publishers[topic] = SigningPublisher(publisher, station_key(self.state_dir)) if mine else publisher
        self._publishers[topic].publish(message)

    def forget(self, topic):
        """Publish it no more: what was said last is not told to newcomers."""
        del self._publishers[topic]
        name = self.node.resolve_topic_name(topic)
        (made,) = (one for one in self.node.publishers if one.topic_name == name)
        self.node.destroy_publisher(made)

    def until(self, done, meanwhile=lambda: None):
        """Spin, saying `meanwhile` again and again, as often as a station does."""
        end_s = time.monotonic() + WAIT_S
        again_s = 0.0
        while not done():
            now_s = time.monotonic()
            assert now_s < end_s, {topic: len(got) for topic, got in self.heard.items()}
            if now_s >= again_s:
                meanwhile()
                again_s = time.monotonic() + PERIOD_S
            self.executor.spin_once(timeout_sec=PERIOD_S)

    def trigger(self, service, meanwhile):
        """Answer of a service; asked again and again, since the graph may still show that of a killed process."""
        client, calls = self.node.create_client(Trigger, service), []
        self.until(
            lambda: any(call.done() for call in calls),
            lambda: meanwhile() or calls.append(client.call_async(Trigger.Request())),
        )
        return next(call.result() for call in calls if call.done())

    def close(self):
        leave_graph(self.executor, self.node, self.context)


@contextmanager
def in_this_process(kind, **parameters):
    """A node of the station in the test's own process, which calls it itself; nobody else is there."""
    rclpy.init(
        args=['--ros-args', *(part for name, value in parameters.items() for part in ('-p', f"{name}:='{value}'"))]
    )
    try:
        node = kind()
        try:
            yield node
        finally:
            node.finish()
            destroy(node)
    finally:
        rclpy.try_shutdown()


class Forked:
    """A node of the station in a process of its own, forked as those of a station are."""

    def __init__(self, name, arguments):
        self._child, self._reading = fork_node(name, f'qkd_gs.nodes.{name}_node', arguments, os.environ)
        self._output = []
        self._reader = Thread(target=self._read)
        self._reader.start()

    def _read(self):
        with open(self._reading, encoding='utf-8', errors='replace') as output:
            self._output += output

    def send_signal(self, number):
        if self._child.exitcode is None:
            os.kill(self._child.pid, number)

    def wait(self):
        self._child.join(WAIT_S)
        assert self._child.exitcode is not None
        return self._child.exitcode

    def poll(self):
        return self._child.exitcode

    def told(self):
        """Everything that it has said, after its end."""
        self._reader.join(WAIT_S)
        return ''.join(self._output)


class Started(subprocess.Popen):
    """A node of the station in a process of its own that sees the packages and modules of the test's environment."""

    def __init__(self, name, arguments):
        command = [sys.executable, '-m', f'qkd_gs.nodes.{name}_node', *arguments]
        super().__init__(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def told(self):
        return self.communicate(timeout=WAIT_S)[0]


@contextmanager
def node_process(name, kind=Forked, **options):
    """A node in a process of its own; ends as asked, without a traceback."""
    arguments = ['--ros-args']
    for key, value in options.items():
        arguments += ['-p', f'{key}:={value}']
    process = kind(name, arguments)
    try:
        yield process
    finally:
        killed = process.poll() is not None
        process.send_signal(signal.SIGINT)
        output = process.told()
        code = process.wait()
    assert killed or code == 0, output
    assert 'Traceback' not in output, output


def real_time():
    """Station time as the machine has it."""
    return m.StationClock(epoch_ns=time.time_ns(), monotonic_ns=time.monotonic_ns(), speed=1.0)
