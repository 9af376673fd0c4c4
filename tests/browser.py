"""A real browser on the dashboard: fixtures for the tests of web/.

A page that logs an error, throws, or is refused something by the Content-Security-Policy fails its test. Screenshots
lie in PENSTOCK_SCREENSHOTS (default: build/screenshots), to be looked at.
"""
import os
import pathlib
import shutil

import pytest

from conftest import ROOT

CHROMIUM = os.environ.get('PENSTOCK_CHROMIUM') or shutil.which('chromium')
SHOTS = pathlib.Path(os.environ.get('PENSTOCK_SCREENSHOTS', ROOT / 'build/screenshots'))
# With PENSTOCK_PICTURES set, these are written for docs/dashboard.md as well.
PICTURES = {'home', 'run-failed', 'run-timeline', 'compare', 'lineage', 'editor'}
AXE = ROOT / 'web/node_modules/axe-core/axe.min.js'
FLAGS = ['--no-sandbox', '--disable-gpu', '--no-first-run', '--disable-background-networking',
         '--disable-component-update', '--disable-sync']


# Of a module, not of the session: each module that imports it has a fixture of its own, and Playwright runs once at a time.
@pytest.fixture(scope='module')
def browser():
    playwright = pytest.importorskip('playwright.sync_api', reason='playwright is not installed')
    if CHROMIUM is None:
        pytest.skip('there is no Chromium here')
    if not (ROOT / 'web/dist/index.html').exists():
        pytest.skip('the program was built without the dashboard')
    with playwright.sync_playwright() as running:
        chromium = running.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield chromium
        chromium.close()


class Dashboard:
    """A tab on the dashboard of one server."""

    def __init__(self, page, server):
        self.page = page
        self.server = server
        # What the page complained of. A test that means to provoke complaints empties it.
        self.complaints = []
        page.on('console', lambda message: message.type == 'error' and self.complaints.append(f"{message.text} {message.location.get('url', '')}"))
        page.on('pageerror', lambda error: self.complaints.append(str(error)))
        page.on('request', lambda request: self.hosts.add(request.url.split('/')[2]) if request.url.startswith('http') else None)
        self.hosts = set()

    def go(self, path):
        self.page.goto(self.server.url + path)
        self.page.locator('h1').first.wait_for()
        return self.page

    def shot(self, name):
        SHOTS.mkdir(parents=True, exist_ok=True)
        # Nothing is in motion on a picture.
        self.page.screenshot(path=SHOTS / f'{name}.png', animations='disabled')
        if name in PICTURES and os.environ.get('PENSTOCK_PICTURES'):
            shutil.copy(SHOTS / f'{name}.png', ROOT / f'docs/pictures/{name}.png')

    def check_accessible(self):
        """No rule of WCAG 2 A and AA that axe can check is broken on the page as it is now."""
        self.page.evaluate(AXE.read_text())
        found = self.page.evaluate("axe.run(document, {runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'best-practice']})")
        broken = [f"{rule['id']}: {rule['help']} {[node['html'][:160] for node in rule['nodes'][:3]]}" for rule in found['violations']]
        assert broken == [], '\n'.join(broken)


def open_dashboard(browser, server, **options):
    options = {'viewport': {'width': 1280, 'height': 800}, 'locale': 'en-US', 'color_scheme': 'light', **options}
    context = browser.new_context(**options)
    context.set_default_timeout(15000)
    return Dashboard(context.new_page(), server)


@pytest.fixture
def dashboard(browser, server):
    opened = open_dashboard(browser, server)
    yield opened
    opened.page.context.close()
    assert opened.complaints == [], opened.complaints
    address = server.url.split('/')[2]
    assert opened.hosts <= {address}, 'nothing but the server is asked'
