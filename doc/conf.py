"""Sphinx settings of `make docs`; the diagrams are generated from the code, see tools/diagrams.py."""

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE.parent / 'tools')]

import diagrams  # noqa: E402  (in tools/)

import qkd_gs  # noqa: E402

project = 'qkd_gs'
author = 'qkd_gs developers'
copyright = 'qkd_gs developers, Apache License 2.0'
version = release = qkd_gs.__version__

extensions = [
    'myst_parser',
    'sphinx.ext.autodoc',
    'sphinx.ext.doctest',
    'sphinx.ext.graphviz',
    'sphinx.ext.napoleon',
]
exclude_patterns = ['generated/README.md']
source_suffix = {'.md': 'markdown', '.rst': 'restructuredtext'}
myst_enable_extensions = ['colon_fence', 'tasklist']
myst_heading_anchors = 3
napoleon_google_docstring = False
napoleon_use_rtype = False
autodoc_typehints = 'none'  # the NumPy sections say the types, with shapes and units
autodoc_member_order = 'bysource'
default_role = 'code'  # a single backtick in a docstring names code
html_theme = 'furo'
html_title = f'qkd_gs {version}'
html_static_path = ['static']
html_css_files = ['wide.css']
graphviz_dot = str(Path(sys.prefix) / 'bin' / 'graphviz-pure')
graphviz_output_format = 'svg'
doctest_test_doctest_blocks = 'default'


def _repository_links(app, docname, source):
    """Files of the repository outside doc/ have no page: their links go to the text of the path."""
    import re

    out = r'\.\./' * (docname.count('/') + 1)
    source[0] = re.sub(rf'\[([^\]]+)\]\({out}([^)#]+)\)', r'\1', source[0])


def setup(app):
    """Write the diagrams before anything is read, and take links out of doc/ away."""
    folder = HERE / 'generated'
    folder.mkdir(exist_ok=True)
    (folder / 'station.dot').write_text(diagrams.station_dot(), encoding='utf-8')
    (folder / 'layers.dot').write_text(diagrams.layers_dot(), encoding='utf-8')
    app.connect('source-read', _repository_links)
