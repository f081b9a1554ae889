"""A log that the disk does not take: said once, and never in the way of the node."""

from qkd_gs.bench.faults.injector import full_disk
from qkd_gs.station.processes import Log


def test_lines_after_a_full_disk_are_written_again(tmp_path):
    path = tmp_path / 'mount.log'
    log = Log(path)
    assert log.write('one\n')
    with full_disk(0, path.stat().st_size):
        assert not log.write('two\n')
        assert 'mount.log: File too large' in log.trouble
        assert log.write('three\n')  # it was said
    assert log.write('four\n')
    assert not log.trouble
    assert path.read_text() == 'one\nfour\n'


def test_a_folder_that_is_gone_is_said_once(tmp_path):
    log = Log(tmp_path / 'gone' / 'mount.log')
    assert [log.write('x\n') for _ in range(3)] == [False, True, True]
