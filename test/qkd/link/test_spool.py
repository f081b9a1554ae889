"""What waits on the disk: it comes back, tells nothing secret, and a full disk is told in a sentence."""

import errno
import io
import tempfile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qkd_gs.errors import StationError
from qkd_gs.qkd.link.spool import Spool
from qkd_gs.qkd.protocol.detection_log import DetectionLog
from qkd_gs.qkd.sifting.detections import Detections


@given(records=st.lists(st.binary(max_size=50), max_size=20), data=st.data())
def test_records_come_back_by_their_numbers_whatever_was_read_between(records, data):
    with tempfile.TemporaryFile() as file:
        for spool in (Spool(), Spool(file)):
            numbers = []
            for record in records:
                numbers.append(spool.add(record))
                again = data.draw(st.sampled_from(range(len(numbers))))
                assert spool.record(numbers[again]) == records[again]
            assert [spool.record(number) for number in numbers] == records


def test_nothing_on_the_disk_depends_on_a_bit():
    rng = np.random.default_rng(1)
    pulse = np.cumsum(rng.integers(1, 500, 5000))
    basis, bit = rng.integers(0, 2, (2, 5000)).astype(np.uint8)
    written = []
    for bits in (bit, 1 - bit):
        file = io.BytesIO()
        log = DetectionLog([(0, int(pulse[-1]))], Spool(file))
        log.add(Detections(pulse, basis, bits))
        announced = list(log.announcements())
        assert file.getvalue() == b''.join(announced)  # nor is there more than will be said
        written.append(file.getvalue())
    assert written[0] == written[1]


def test_a_full_disk_is_reported():
    class Full(io.BytesIO):
        def write(self, data):
            raise OSError(errno.ENOSPC, 'No space left on device')

    with pytest.raises(StationError, match='No space left'):
        Spool(Full()).add(b'record')
