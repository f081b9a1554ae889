"""Two servo drives with CiA 402, on the package canopen: its SDO server, its NMT and its PDO maps; a simple plant each.

In memory for tests in a test's time (`TwinBus`), or as a process on a multicast bus: ``python cia402_twin.py GROUP``.
"""

import signal
import subprocess
import sys
import time
from collections import deque

import can
import canopen
from canopen import objectdictionary as od

COUNTS = 2**26
NODES = (1, 2)
NOT_HEARD = 0x8130
_U8, _U16, _U32, _I8, _I16, _I32 = (
    od.UNSIGNED8, od.UNSIGNED16, od.UNSIGNED32, od.INTEGER8, od.INTEGER16, od.INTEGER32,
)  # fmt: skip
_PLAIN = {
    0x1000: (_U32, 0x20192), 0x1001: (_U8, 0), 0x1017: (_U16, 0), 0x6007: (_I16, 1), 0x603F: (_U16, 0),
    0x6040: (_U16, 0), 0x6041: (_U16, 0x40), 0x605A: (_I16, 2), 0x6060: (_I8, 0), 0x6061: (_I8, 0),
    0x6064: (_I32, 0), 0x6065: (_U32, 2**31), 0x606C: (_I32, 0), 0x607A: (_I32, 0), 0x607F: (_U32, 2**31),
    0x6085: (_U32, 0), 0x60B1: (_I32, 0), 0x60C5: (_U32, 0), 0x60FF: (_I32, 0), 0x6502: (_U32, 0x3FF),
}  # fmt: skip
_RECORDS = {
    0x1016: ((1, _U32, 0),), 0x1018: ((1, _U32, 0x2E1), (2, _U32, 7), (3, _U32, 1), (4, _U32, 0)),
    0x1029: ((1, _U8, 0),), 0x607D: ((1, _I32, -(2**31)), (2, _I32, 2**31 - 1)),
    0x608F: ((1, _U32, COUNTS), (2, _U32, 1)), 0x60C2: ((1, _U8, 1), (2, _I8, -3)),
}  # fmt: skip


def _variable(index, kind, default, sub=0):
    variable = od.ODVariable(f'o{index:x}s{sub}', index, sub)
    variable.data_type, variable.access_type, variable.default, variable.pdo_mappable = kind, 'rw', default, True
    return variable


def dictionary(node_id, without=()):
    made = canopen.ObjectDictionary()
    for index, (kind, default) in _PLAIN.items():
        if index not in without:
            made.add_object(_variable(index, kind, default))
    records = dict(_RECORDS)
    records[0x1018] = (*records[0x1018][:3], (4, _U32, 1000 + node_id))
    for number in range(4):
        records |= {0x1400 + number: ((1, _U32, 0x80000000), (2, _U8, 255))}
        records |= {0x1800 + number: ((1, _U32, 0x80000000), (2, _U8, 255), (3, _U16, 0), (5, _U16, 0))}
        for base in (0x1600, 0x1A00):
            records[base + number] = ((0, _U8, 0), *((one, _U32, 0) for one in range(1, 9)))
    for index, members in records.items():
        if index in without:
            continue
        record = od.ODRecord(f'r{index:x}', index)
        for sub, kind, default in members:
            record.add_member(_variable(index, kind, default, sub))
        if members[0][0] != 0:
            record.add_member(_variable(index, _U8, max(one[0] for one in members)))
        made.add_object(record)
    return made


class Drive:
    """State machine, guarding, limits and plant of one drive; counts and counts a second."""

    def __init__(self, network, node_id, position=0, without=()):
        self.node = network.create_node(node_id, dictionary(node_id, without))
        self.id, self._network = node_id, network
        self.position, self.velocity, self.target = float(position), 0.0, position
        self.status, self.error, self.blocked = 0x40, 0, False
        self._running, self._staged, self._sent_ns = False, {}, {}
        self._guarded_ns = None
        self.quick_stops = []
        self.node.nmt.state = 'PRE-OPERATIONAL'
        self.node.add_write_callback(self.written)
        self._publish()

    # --- objects ---

    def read(self, index, sub=None):
        variable = self.node.sdo[index] if sub is None else self.node.sdo[index][sub]
        return variable.raw

    def _publish(self):
        values = {0x6041: self.status, 0x6064: round(self.position), 0x606C: round(self.velocity), 0x603F: self.error}
        for index, value in values.items():
            self.node.sdo[index].raw = value

    # --- frames ---

    def frame(self, identifier, data, now_ns):
        if identifier == 0x80:
            self._sync()
        elif identifier - 0x700 == self.read(0x1016, 1) >> 16 & 0x7F:
            self._guarded_ns = now_ns
        elif identifier in (0x200 + self.id, 0x300 + self.id):
            self._staged[identifier] = bytes(data)
        if self.node.nmt.state == 'OPERATIONAL' and not self._running:
            self._running = True
            self.node.rpdo.read()
            self.node.tpdo.read()

    def _sync(self):
        if not self._running:
            return
        self._syncing = True
        for one in self.node.rpdo.values():
            data = self._staged.pop(one.cob_id, None)
            if one.enabled and data is not None:
                one.data = bytearray(data)
                for variable in one:
                    self.node.sdo[variable.index].raw = variable.raw
        self._syncing = False
        self._control(self.read(0x6040))
        self._send(lambda one: one.trans_type == 1)

    def _send(self, chosen):
        self._publish()
        for one in self.node.tpdo.values():
            if one.enabled and chosen(one):
                for variable in one:
                    variable.raw = self.read(variable.index)
                one.transmit()

    # --- states ---

    def written(self, index, subindex, od, data):
        """A controlword that came by SDO counts at once."""
        if index == 0x6040 and not self._syncing:
            self._control(int.from_bytes(data, 'little'))
            self._publish()

    def _control(self, word):
        enabled, stopping = self.status == 0x27, self.status == 0x07
        if self.status == 0x08:
            if word & 0x80 and not self._word & 0x80:
                self.status, self.error = 0x40, 0
        elif not word & 0x02:
            self._off()
        elif not word & 0x04:
            if enabled:
                self._quick_stop('commanded')
            elif not stopping:
                self.status = 0x40
        elif word & 0x0F == 0x06 and not enabled:
            self.status = 0x21
        elif word & 0x0F == 0x07 and self.status in (0x21, 0x23):
            self.status = 0x23
        elif word & 0x0F == 0x0F and (self.status == 0x23 or (stopping and self.read(0x605A) >= 5)):
            self.status = 0x27
        self._word = word

    _word, _syncing = 0, False

    def _off(self):
        self.status, self.velocity = 0x40, 0.0  # the brake

    def _quick_stop(self, why):
        self.quick_stops.append(why)
        self.status = 0x07

    def fail(self, error=0x2310):
        self.status, self.error, self.velocity = 0x08, error, 0.0
        self._network.send_message(0x80 + self.id, error.to_bytes(2, 'little') + bytes((1, 0, 0, 0, 0, 0)))

    # --- time ---

    def advance(self, dt_s, now_ns):
        limit_ns = (self.read(0x1016, 1) & 0xFFFF) * 1_000_000
        if self._guarded_ns is not None and limit_ns and now_ns - self._guarded_ns > limit_ns:
            self._guarded_ns = None
            self._network.send_message(0x80 + self.id, NOT_HEARD.to_bytes(2, 'little') + bytes(6))
            if self.status == 0x27 and self.read(0x6007) == 3:
                self._quick_stop('not guarded')
        self._move(dt_s)
        for one in self.node.tpdo.values() if self._running else ():
            timer_ns = (one.event_timer or 0) * 1_000_000
            if (
                one.enabled
                and one.trans_type == 255
                and timer_ns
                and now_ns - self._sent_ns.get(one.cob_id, 0) >= timer_ns
            ):
                self._sent_ns[one.cob_id] = now_ns
                self._send(lambda each, this=one: each is this)
        every_ns = self.read(0x1017) * 1_000_000
        if every_ns and now_ns - self._sent_ns.get('heartbeat', 0) >= every_ns:
            self._sent_ns['heartbeat'] = now_ns
            self._network.send_message(0x700 + self.id, bytes((5 if self._running else 127,)))

    def _move(self, dt_s):
        if self.status == 0x27 and self.read(0x6060) == 8:
            left = self.read(0x607A) - self.position
            if abs(left) > self.read(0x6065):
                self.fail(0x8611)
                return
            period_s = self.read(0x60C2, 1) * 10.0 ** self.read(0x60C2, 2)
            self.velocity = 0.0 if self.blocked else left / max(period_s, dt_s, 1e-9)
        elif self.status == 0x27:
            self.velocity = float(self.read(0x60FF) + self.read(0x60B1))
        elif self.status == 0x07:
            most = self.read(0x6085) * dt_s
            self.velocity -= max(-most, min(most, self.velocity))
            if not self.velocity and self.read(0x605A) == 2:
                self._off()
        low, high = self.read(0x607D, 1), self.read(0x607D, 2)
        self.position = min(max(self.position + self.velocity * dt_s, low), high)


class Twin:
    """Both drives, on a network whose frames go out by `send`."""

    def __init__(self, send, positions=(0, 0), without=()):
        self.network = canopen.Network()
        self.network.bus = self
        self._send_frame, self.silent = send, set()
        self.drives = [Drive(self.network, node, at, without) for node, at in zip(NODES, positions, strict=True)]
        self._now_ns = None

    def send(self, message):
        """What canopen sends."""
        if message.arbitration_id & 0x7F not in self.silent:
            self._send_frame(message)

    def send_periodic(self, message, period):
        """What canopen would send from a thread of its own: the heartbeat, which `Drive.advance` sends."""
        return self

    def stop(self):
        pass

    def update(self, message):
        pass

    def receive(self, message):
        data = bytes(message.data)
        if message.arbitration_id & 0x7F not in self.silent or message.arbitration_id in (0, 0x80):
            self.network.notify(message.arbitration_id, bytearray(data), 0.0)
        for drive in self.drives:
            if drive.id not in self.silent:
                drive.frame(message.arbitration_id, data, self._now_ns or 0)

    def pass_time(self, seconds):
        self.advance((self._now_ns or 1) + round(seconds * 1e9))

    def advance(self, now_ns):
        now_ns = max(now_ns, self._now_ns or 0)
        since_s = (now_ns - self._now_ns) * 1e-9 if self._now_ns else 0.0
        self._now_ns = now_ns
        for drive in self.drives:
            if drive.id not in self.silent:
                drive.advance(since_s, now_ns)


class TwinBus:
    """The driver's end of a bus in memory.  Frames wait for the next step of time, or for the driver to wait."""

    def __init__(self, twin_of=Twin, **how):
        self._to_driver, self._to_twin, self.gone = deque(), deque(), False
        self.twin = twin_of(self._to_driver.append, **how)
        self.sent = []

    def open(self):
        if self.gone:
            raise can.CanError('no such interface')
        self._to_driver.clear()
        return self

    def recv(self, timeout):
        self._check()
        if not self._to_driver and timeout:
            self._deliver()
            if not self._to_driver:  # the driver lets time pass
                self.twin.pass_time(timeout)
        return self._to_driver.popleft() if self._to_driver else None

    def send(self, message):
        self._check()
        self.sent.append(message)
        self._to_twin.append(message)

    def _check(self):
        if self.gone:
            raise can.CanError('the adapter was pulled')

    def _deliver(self):
        while self._to_twin:
            self.twin.receive(self._to_twin.popleft())

    def advance(self, now_ns):
        self._deliver()
        self.twin.advance(now_ns)

    def shutdown(self):
        pass


def serve(group):
    bus = can.Bus(interface='udp_multicast', channel=group, fd=False, hop_limit=0)
    twin = Twin(bus.send)
    told = None
    sys.stdout.write('ready\n')
    sys.stdout.flush()
    while True:
        message = bus.recv(0.002)
        while message is not None:
            if message.arbitration_id & 0x780 not in (0x180, 0x280, 0x380, 0x580) and (
                message.arbitration_id & 0x7F not in NODES or message.arbitration_id & 0x780 in (0x200, 0x300, 0x600)
            ):
                twin.receive(message)
            message = bus.recv(0)
        twin.advance(time.time_ns())
        now = ' '.join(','.join(drive.quick_stops) or '-' for drive in twin.drives) + (
            ' moving' if any(drive.velocity for drive in twin.drives) else ' standing'
        )
        if now != told:
            told = now
            sys.stdout.write(now + '\n')
            sys.stdout.flush()


class TwinProcess:
    """The drives in a process of their own, for tests."""

    def __init__(self, group):
        self._group = group
        self.start()

    def start(self):
        self.process = subprocess.Popen([sys.executable, __file__, self._group], stdout=subprocess.PIPE, text=True)
        assert self.process.stdout.readline() == 'ready\n'
        import os

        os.set_blocking(self.process.stdout.fileno(), False)
        self._told = ''

    @property
    def told(self):
        """Reasons of the quick stops of both drives, and whether they move."""
        while line := self.process.stdout.readline():
            self._told = line.strip()
        return self._told

    def freeze(self):
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self):
        self.process.send_signal(signal.SIGCONT)

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()


if __name__ == '__main__':
    serve(sys.argv[1])
