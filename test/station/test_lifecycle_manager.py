"""Which node is told what, when: no ROS, only heartbeats and a clock."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

from qkd_gs.station.lifecycle_manager import LifecycleManager, Order


class Node:
    """A node with a lifecycle, as its heartbeats tell it."""

    def __init__(self, bring: LifecycleManager, name: str = 'mount'):
        self.bring, self.name = bring, name
        self.pid, self.state, self.fault, self.deactivated_by_operator = 100, 'unconfigured', '', False
        self.taken = 0

    def beat(self, now_s: float) -> None:
        self.bring.heard(now_s, self.name, self.pid, self.state, self.fault, self.deactivated_by_operator, self.taken)

    def obey(self, orders: list[tuple[str, Order]]) -> None:
        for name, order in orders:
            assert name == self.name
            self.taken += 1
            if (self.state, order) == ('unconfigured', Order.CONFIGURE):
                self.state, self.fault = 'inactive', ''
            else:
                assert (self.state, order) == ('inactive', Order.ACTIVATE)
                self.state = 'active'

    def crash(self) -> None:
        self.pid, self.state, self.fault, self.deactivated_by_operator = self.pid + 1, 'unconfigured', '', False
        self.taken = 0

    def fail(self) -> None:
        self.state, self.fault, self.deactivated_by_operator = 'unconfigured', 'mount.fault', False

    def stop(self, state: str) -> None:
        """An operator does."""
        self.state, self.deactivated_by_operator = state, True


def live(node: Node, from_s: float, to_s: float) -> float | None:
    """Beats and orders every 0.25 s; when it became active."""
    now_s = from_s
    while now_s <= to_s:
        node.beat(now_s)
        node.obey(node.bring.orders(now_s))
        if node.state == 'active':
            node.beat(now_s)
            return now_s
        now_s += 0.25
    return None


def started() -> Node:
    node = Node(LifecycleManager(['mount']))
    assert live(node, 0.0, 10.0) == 0.25
    return node


def half_way() -> Node:
    """Back from a fault and configured at 21.5 s, but not yet activated."""
    node = started()
    node.fail()
    node.beat(20.0)
    node.obey(node.bring.orders(21.5))
    assert node.state == 'inactive'
    return node


def test_a_fresh_node_is_configured_and_activated():
    bring = LifecycleManager(['mount', 'gps'])
    assert bring.orders(0.0) == []
    bring.heard(1.0, 'mount', 7, 'unconfigured', '')
    assert bring.orders(1.0) == [('mount', Order.CONFIGURE)]
    bring.heard(1.2, 'mount', 7, 'inactive', '', taken=1)
    assert bring.orders(1.2) == [('mount', Order.ACTIVATE)]
    bring.heard(1.4, 'mount', 7, 'active', '', taken=2)
    assert bring.orders(1.4) == []
    assert bring.states() == {'mount': 'active', 'gps': ''}


def test_nodes_without_a_lifecycle_are_left_alone():
    bring = LifecycleManager(['mount'])
    bring.heard(0.0, 'planner', 8, 'unconfigured', 'x')
    assert bring.orders(0.0) == []
    assert bring.states() == {'mount': ''}


def test_an_order_that_fails_is_given_again_after_longer_and_longer_pauses():
    bring = LifecycleManager(['mount'])
    times = []
    for step in range(150):
        bring.heard(step * 0.1, 'mount', 7, 'unconfigured', 'mount.silent' if times else '', taken=len(times))
        times += [step * 0.1 for _ in bring.orders(step * 0.1)]
    gaps = [b - a for a, b in itertools.pairwise(times)]
    assert times[0] == 0.0
    assert gaps[:4] == pytest.approx([0.5, 1.0, 2.0, 4.0], abs=0.11)
    assert max(gaps) < 4.2


def test_an_order_is_not_repeated_however_long_the_node_takes_to_obey():
    bring = LifecycleManager(['mount'])
    bring.heard(0.0, 'mount', 7, 'unconfigured', '')
    assert bring.orders(0.0) == [('mount', Order.CONFIGURE)]
    for beat in range(7):  # those that were on their way
        bring.heard(0.1 * beat, 'mount', 7, 'unconfigured', '')
    assert bring.orders(1e6) == []
    bring.heard(1e6, 'mount', 7, 'inactive', '', taken=1)
    assert bring.orders(1e6) == [('mount', Order.ACTIVATE)]


def test_an_order_to_a_node_out_of_reach_is_given_as_soon_as_it_is_in_reach():
    bring = LifecycleManager(['mount'])
    bring.heard(0.0, 'mount', 7, 'unconfigured', '')
    assert bring.orders(0.0, lambda name: False) == []
    assert bring.orders(0.25, lambda name: name == 'mount') == [('mount', Order.CONFIGURE)]


def test_a_crashed_node_is_brought_back():
    node = started()
    node.crash()
    assert live(node, 20.0, 25.0) == 20.25


def test_an_operators_wish_is_respected_until_a_crash():
    for state in ('inactive', 'unconfigured'):
        node = started()
        node.stop(state)
        assert live(node, 20.0, 100.0) is None
        node.bring = LifecycleManager(['mount'])  # a restarted monitor
        assert live(node, 100.0, 200.0) is None
        assert node.state == state
        node.crash()
        assert live(node, 200.0, 210.0) is not None


def test_what_an_operator_configures_step_by_step_waits_for_the_next_step():
    node = started()
    node.stop('unconfigured')
    assert live(node, 20.0, 30.0) is None
    node.state = 'inactive'
    assert live(node, 30.0, 40.0) is None


def test_a_node_that_fails_again_and_again_is_left_longer_and_longer():
    node = started()
    waits, now_s = [], 20.0
    for _ in range(7):
        node.fail()
        back_s = live(node, now_s, now_s + 100)
        waits.append(back_s - now_s)
        now_s = back_s + 1.0
    assert waits[:5] == [1.25, 2.25, 4.25, 8.25, 16.25]
    assert waits[5:] == [30.25, 30.25]


def test_a_fault_long_ago_is_forgiven():
    node = started()
    for _ in range(5):
        node.fail()
        back_s = live(node, 20.0, 100.0)
    for second in range(600):
        node.beat(back_s + second)
    node.fail()
    assert live(node, 1000.0, 1100.0) == 1001.25


def test_a_lost_order_to_a_node_that_comes_back_from_a_fault_is_repeated():
    """Configured, and then the order to activate is lost: it must not stay inactive for good."""
    node = half_way()
    node.beat(21.6)
    assert node.bring.orders(21.6) == [('mount', Order.ACTIVATE)]  # never arrives
    assert live(node, 21.7, 30.0) is not None  # its heartbeats go on without it


def test_a_restarted_monitor_goes_on_where_the_old_one_stopped():
    """Configured by a monitor that died before it could activate: no operator has wished that."""
    node = half_way()
    node.bring = LifecycleManager(['mount'])
    assert live(node, 21.7, 30.0) is not None


class Life(RuleBasedStateMachine):
    """Whatever happens to it: a node is active in the end, unless an operator has wished otherwise since it was."""

    def __init__(self) -> None:
        super().__init__()
        self.node = Node(LifecycleManager(['mount']))
        self.now_s, self.wished = 0.0, False

    @rule(seconds=st.floats(0.05, 5), lost=st.booleans())
    def time_goes_by(self, seconds, lost):
        self.now_s += seconds
        self.node.beat(self.now_s)
        orders = self.node.bring.orders(self.now_s)
        if not lost:
            self.node.obey(orders)
            if self.node.state == 'active':
                self.node.beat(self.now_s)

    @rule()
    def it_crashes(self):
        self.node.crash()
        self.wished = False

    @rule()
    def the_monitor_crashes(self):
        self.node.bring = LifecycleManager(['mount'])

    @rule()
    def it_fails(self):
        if self.node.state == 'active':
            self.node.fail()

    @rule(state=st.sampled_from(['inactive', 'unconfigured']))
    def an_operator_stops_it(self, state):
        if self.node.state == 'active':
            self.node.beat(self.now_s)
            self.node.stop(state)
            self.wished = True
            self.node.beat(self.now_s)

    def teardown(self):
        back_s = live(self.node, self.now_s + 0.1, self.now_s + 120)
        assert (back_s is None) == self.wished


TestLife = Life.TestCase
TestLife.settings = settings(max_examples=100, stateful_step_count=25)


def test_a_node_that_was_shut_down_is_activated_in_its_new_process():
    manager = LifecycleManager(['mount'])
    manager.heard(0.0, 'mount', 1, 'active', '')
    manager.heard(1.0, 'mount', 1, 'finalized', '')
    assert manager.orders(1.0) == []
    manager.heard(2.0, 'mount', 2, 'unconfigured', '')
    assert manager.orders(2.0) == [('mount', Order.CONFIGURE)]


def test_one_that_an_operator_had_taken_down_before_is_left_alone_until_he_takes_it_up():
    manager = LifecycleManager(['mount'])
    manager.heard(0.0, 'mount', 1, 'active', '')
    manager.heard(1.0, 'mount', 1, 'inactive', '', deactivated_by_operator=True)
    manager.heard(2.0, 'mount', 1, 'finalized', '', deactivated_by_operator=True)
    for t_s, pid in ((3.0, 2), (4.0, 2), (5.0, 3)):  # it may even crash
        manager.heard(t_s, 'mount', pid, 'unconfigured', '')
        assert manager.orders(t_s) == []
    manager.heard(6.0, 'mount', 3, 'inactive', '')
    assert manager.orders(6.0) == [('mount', Order.ACTIVATE)]
