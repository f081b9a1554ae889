"""What the pages name exists: links, files and folders; and the table of topics agrees with the nodes."""

import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob('*.md'), *ROOT.glob('doc/**/*.md'), *ROOT.glob('examples/*.md')])
FOLDERS = 'qkd_gs|doc|config|launch|msg|action|test|tools|examples|requirements|interfaces'
sys.path.insert(0, str(ROOT / 'tools'))


def names(pages):
    return [str(page.relative_to(ROOT)) for page in pages]


def slug(heading):
    return re.sub(r'[^\w\- ]', '', heading.strip().lower()).replace(' ', '-')


def headings(page):
    return {slug(line) for line in re.findall(r'^#+ (.*)$', page.read_text(encoding='utf-8'), re.M)}


@pytest.mark.parametrize('page', PAGES, ids=names(PAGES))
def test_links_lead_somewhere(page):
    text = page.read_text(encoding='utf-8')
    lost = []
    for target in re.findall(r'\]\(([^)\s]+)\)', text):
        path, _, anchor = target.partition('#')
        if '://' in target:
            continue
        goal = (page.parent / path).resolve() if path else page
        if not goal.exists() or (anchor and anchor not in headings(goal)):
            lost.append(target)
    assert not lost


@pytest.mark.parametrize('page', PAGES, ids=names(PAGES))
def test_paths_exist(page):
    """`config/station.yaml`, and paths of packages below qkd_gs/ such as `sim/twin.py`; NAME and * stand for any."""
    text = page.read_text(encoding='utf-8')
    text = re.sub(r'^(```|    ).*$', '', text, flags=re.M)
    lost = []
    for path in re.findall(r'`([a-z_]+/[\w./-]*)`', text):
        written = path.startswith(('sessions/', 'build/', 'doc/generated/')) or 'NAME' in path
        places = (ROOT / path, ROOT / 'qkd_gs' / path)
        if not written and re.search(r'\.(py|md|yaml|csv|toml|xacro|msg)$|/$', path):
            lost += [path] * (not any(place.exists() for place in places))
        elif re.match(rf'({FOLDERS})/', path) and not written:
            lost += [path] * (not places[0].exists())
    assert not lost
