"""`python -m qkd_gs` is `qkd-gs`."""

import sys

from qkd_gs.cli import main

sys.exit(main())
