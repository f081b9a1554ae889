"""The synthetic session, in a folder."""

import pytest
import synthetic


@pytest.fixture
def session(tmp_path):
    """Folder of the synthetic session, with telemetry, processed."""
    synthetic.manifest().save(tmp_path)
    synthetic.telemetry().save(tmp_path)
    return tmp_path
