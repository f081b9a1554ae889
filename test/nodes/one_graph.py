"""A graph of one test alone: the test as all other nodes, and the process under test."""

import signal
import subprocess
import sys
import time
from contextlib import contextmanager

import qkd_gs.msg as m
import rclpy
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from std_srvs.srv import Trigger

from qkd_gs.nodes.runtime.authentic import SigningPublisher, is_signed
from qkd_gs.station.authenticity import station_key

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
        self.executor.shutdown()
        self.node.destroy_node()
        self.context.try_shutdown()


@contextmanager
def node_process(name, **options):
    """A node of the station in a process of its own; ends as asked, without a traceback."""
    command = [sys.executable, '-m', f'qkd_gs.nodes.{name}_node', '--ros-args']
    for key, value in options.items():
        command += ['-p', f'{key}:={value}']
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        yield process
    finally:
        killed = process.poll() is not None
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=WAIT_S)
    assert killed or process.returncode == 0, output
    assert 'Traceback' not in output, output


def real_time():
    """Station time as the machine has it."""
    return m.StationClock(epoch_ns=time.time_ns(), monotonic_ns=time.monotonic_ns(), speed=1.0)
