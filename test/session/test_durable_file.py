"""A disk that is full for a while costs nothing that was appended, and never leaves half a piece in the middle."""

import errno
import os

import pytest
from faults.disk import Disk
from hypothesis import given, settings
from hypothesis import strategies as st

from qkd_gs.errors import StationError
from qkd_gs.session.durable_file import DurableFile, Reserve

PIECES = st.lists(st.tuples(st.binary(max_size=40), st.integers(0, 60), st.booleans()), max_size=30)


@settings(max_examples=200, deadline=None)
@given(pieces=PIECES)
def test_all_that_was_appended_comes_to_the_disk_in_order(tmp_path_factory, pieces):
    """Before each piece the disk gets or loses space; it also fails to sync now and then."""
    path = tmp_path_factory.mktemp('disk') / 'file'
    wanted = b''
    with Disk(path, capacity=100) as disk:
        file = DurableFile(path)
        for data, capacity, fails in pieces:
            disk.capacity, disk.sync_fails = len(path.read_bytes()) + capacity, fails
            wanted += data
            try:
                file.append(data)
            except StationError:
                assert file.waiting
            else:
                assert not file.waiting
                assert path.read_bytes() == wanted
            assert wanted.startswith(path.read_bytes())
        disk.capacity, disk.sync_fails = 10_000, False
        file.append(b'')
    assert path.read_bytes() == wanted


def test_the_reserve_is_used_when_the_disk_is_full(tmp_path):
    path = tmp_path / 'file'
    with Disk(path, capacity=10) as disk:
        reserve = Reserve(tmp_path, 40 << 20)
        file = DurableFile(path, reserve)
        disk.reserve = reserve
        file.append(bytes(30 << 20))
        assert path.stat().st_size == 30 << 20
        with pytest.raises(StationError, match='No space left'):
            file.append(bytes(20 << 20))
        assert file.waiting == 20 << 20
        assert reserve.size == 0
    reserve.release()
    assert [child.name for child in tmp_path.iterdir()] == ['file']


def test_a_reserve_takes_real_space_and_gives_it_back(tmp_path):
    reserve = Reserve(tmp_path, 1 << 20)
    (held,) = tmp_path.iterdir()
    assert held.stat().st_blocks * 512 >= 1 << 20
    reserve.release()
    assert not list(tmp_path.iterdir())


def test_no_space_for_the_reserve_is_one_sentence_and_leaves_nothing(tmp_path):
    with Disk(tmp_path / 'file', capacity=0) as disk:
        disk.allocation_fails = True
        with pytest.raises(StationError, match='no space for a pass: No space left on device'):
            Reserve(tmp_path, 1 << 20)
    assert not list(tmp_path.iterdir())


def test_other_errors_leave_the_reserve_alone(tmp_path):
    with Disk(tmp_path / 'file', capacity=10) as disk:
        disk.number = errno.EIO
        reserve = Reserve(tmp_path, 1 << 20)
        file = DurableFile(tmp_path / 'file', reserve)
        with pytest.raises(StationError, match='Input/output error'):
            file.append(bytes(20))
        assert reserve.size == 1 << 20


def test_a_file_that_is_moved_or_deleted_is_missed(tmp_path):
    file = DurableFile(tmp_path / 'file')
    file.append(b'one')
    file.require_in_place()
    os.rename(tmp_path / 'file', tmp_path / 'elsewhere')
    file.append(b'two')
    with pytest.raises(StationError, match='moved or deleted'):
        file.require_in_place()
    (tmp_path / 'file').write_bytes(b'of somebody else')
    with pytest.raises(StationError, match='moved or deleted'):
        file.require_in_place()
    assert (tmp_path / 'elsewhere').read_bytes() == b'onetwo'
