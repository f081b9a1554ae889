"""An optical bench, written for these tests without anything of the software under test.

A source of weak pulses with random states, a fibre, four detectors and a time tagger with a clock of its own; what a
laboratory has afterwards: a PTU file of the tagger, a byte for each pulse, and a table of the synchronizing pulses.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np

START_UTC_S = 1_772_366_400  # 2026-03-01T12:00:00Z
EPOCH_BEFORE_S = 2  # the source's clock reads 0 so long before the recording begins
DELAYS_NS = {'H': 12.3, 'V': 15.1, 'D': 9.8, 'A': 11.0, 'BEACON': 40.0, 'PPS': 5.0}
INPUTS = {'H': 1, 'V': 2, 'D': 3, 'A': 4, 'BEACON': 5, 'PPS': 6}
MU = {0: 0.8, 1: 0.1, 2: 0.0}


@dataclass
class Bench:
    """Parameters of an experiment."""

    pulse_rate_hz: float = 5e6
    beacon_rate_hz: float = 1e4
    seconds: float = 8.0
    delay_s: float = 2e-5
    efficiency: float = 0.1
    error: float = 0.015
    noise_hz: float = 500.0
    beacon_jitter_ns: float = 50.0
    tagger_rate: float = 4e-7
    jitter_ps: float = 150.0
    seed: int = 1

    def run(self, folder: Path) -> dict[str, int]:
        """Write states.u8, beacon.csv, tags.ptu and map.yaml; returns figures of the truth."""
        rng = np.random.default_rng(self.seed)
        pulses = int(self.pulse_rate_hz * self.seconds)
        first = int(self.pulse_rate_hz * EPOCH_BEFORE_S)
        basis, bit = rng.integers(0, 2, pulses, np.uint8), rng.integers(0, 2, pulses, np.uint8)
        intensity = np.searchsorted([0.5, 0.75], rng.random(pulses, np.float32), 'right').astype(np.uint8)
        (basis | bit << 1 | intensity << 2).tofile(folder / 'states.u8')

        click = rng.random(pulses) < 1 - np.exp(-self.efficiency * np.array([MU[0], MU[1], MU[2]])[intensity])
        number = np.flatnonzero(click)
        measured = rng.integers(0, 2, len(number), np.uint8)
        same = measured == basis[number]
        flipped = rng.random(len(number)) < self.error
        outcome = np.where(same, bit[number] ^ flipped, rng.integers(0, 2, len(number), np.uint8))
        detector = 2 * measured + outcome
        sent_ps = self._emission_ps(first + number)
        noise = rng.poisson(self.noise_hz * self.seconds)
        at_ps = np.concatenate([sent_ps, rng.integers(sent_ps[0], sent_ps[-1], noise)]) + round(self.delay_s * 1e12)
        detector = np.concatenate([detector, rng.integers(0, 4, noise, np.uint8)])

        index = np.arange(
            int(self.beacon_rate_hz * EPOCH_BEFORE_S), int(self.beacon_rate_hz * (EPOCH_BEFORE_S + self.seconds))
        )
        fired_ps = np.rint(index * (1e12 / self.beacon_rate_hz)).astype(np.int64)
        fired_ps += np.rint(rng.standard_normal(len(index)) * self.beacon_jitter_ns * 1e3).astype(np.int64)
        rows = '\n'.join(f'{n},{t}' for n, t in zip(index.tolist(), fired_ps.tolist(), strict=True))
        (folder / 'beacon.csv').write_text('pulse,ps\n' + rows + '\n')
        seen = rng.random(len(index)) < 0.9
        beacon_ps = fired_ps[seen] + round(self.delay_s * 1e12)
        pps_ps = (np.arange(int(self.seconds)) + EPOCH_BEFORE_S + 1) * 10**12
        streams = [(at_ps[detector == k], name) for k, name in enumerate('HVDA')]
        streams += [(beacon_ps, 'BEACON'), (pps_ps, 'PPS')]
        self._record(folder / 'tags.ptu', streams, rng)
        self._map(folder / 'map.yaml')
        sifted = int((same & (intensity[number] == 0)).sum())
        return {'clicks': len(number), 'sifted': sifted, 'pulses': pulses, 'first': first}

    def _emission_ps(self, number: np.ndarray) -> np.ndarray:
        """Exact for a rate of whole hertz."""
        rate = int(self.pulse_rate_hz)
        seconds, rest = np.divmod(number, rate)
        return seconds * 10**12 + (rest * 10**12 + rate // 2) // rate

    def _record(self, path: Path, streams: list[tuple[np.ndarray, str]], rng: np.random.Generator) -> None:
        """Time tagger: reads 0 when the recording begins, and runs at a rate of its own."""
        times, inputs = [], []
        for true_ps, name in streams:
            since = true_ps - EPOCH_BEFORE_S * 10**12
            jitter = rng.standard_normal(len(since)) * (15_000 if name == 'PPS' else self.jitter_ps)
            times.append(since + np.rint(since * self.tagger_rate + DELAYS_NS[name] * 1e3 + jitter).astype(np.int64))
            inputs.append(np.full(len(since), INPUTS[name]))
        time, source = np.concatenate(times), np.concatenate(inputs)
        order = np.argsort(time, kind='stable')
        order = order[time[order] >= 0]
        write_ptu(path, time[order], source[order])

    def _map(self, path: Path) -> None:
        channels = ', '.join(f'{INPUTS[name]}: {name}' for name in ('H', 'V', 'D', 'A', 'BEACON'))
        delays = ', '.join(f'{name}: {value}' for name, value in DELAYS_NS.items())
        path.write_text(
            f'channels: {{{channels}}}\npps: input 6\nstart: 2026-03-01T12:00:00Z\ndelays_ns: {{{delays}}}\n'
        )


def write_ptu(path: Path, time: np.ndarray, source: np.ndarray) -> None:
    """MultiHarp T2 records of 1 ps: an overflow record with a count where the 25 bits have turned."""
    turn = time >> 25
    more = np.diff(turn, prepend=0)
    place = np.arange(len(time)) + np.cumsum(more > 0)
    records = np.empty(len(time) + int((more > 0).sum()), '<u4')
    records[place] = (source - 1).astype('<u4') << 25 | (time & (2**25 - 1)).astype('<u4')
    late = more > 0
    records[place[late] - 1] = (1 << 31 | 63 << 25) | more[late].astype('<u4')

    def entry(name: str, kind: int, value: float, form: str = '<q') -> bytes:
        return name.encode().ljust(32, b'\0') + struct.pack('<iI', -1, kind) + struct.pack(form, value)

    head = b'PQTTTR\0\0' + b'1.0.00\0\0' + entry('Measurement_Mode', 0x10000008, 2)
    head += entry('TTResultFormat_TTTRRecType', 0x10000008, 0x00010207)
    head += entry('MeasDesc_GlobalResolution', 0x20000008, 1e-12, '<d')
    head += entry('TTResult_NumberOfRecords', 0x10000008, len(records)) + entry('Header_End', 0xFFFF0008, 0)
    path.write_bytes(head + records.tobytes())
