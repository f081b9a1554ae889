"""The synthetic session, in a folder."""

import pytest
import synthetic

from qkd_gs.session.manifest import create_manifest


@pytest.fixture
def session(tmp_path):
    """Folder of the synthetic session, with telemetry, processed."""
    create_manifest(tmp_path, synthetic.manifest())
    synthetic.telemetry().save(tmp_path)
    return tmp_path
