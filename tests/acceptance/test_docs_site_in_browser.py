"""The site of contracts as a reader has it: in a real browser, from the disk."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pico_celery.document.build import document_of
from pico_celery_tooling.site.build import build_site, write_site
from tests.acceptance.commands import ROOT, run
from tests.support.chromium import Browser, browser_path, running_browser
from tests.support.nasty_contracts import catalog
from tests.support.waiting import eventually

WIDE = (1440, 1000)
PHONE = (390, 844)
# The contrast of each text with what is behind it, by WCAG 2.1: https://www.w3.org/TR/WCAG21/#dfn-contrast-ratio
CONTRAST = """
(() => {
  const numbers = (text) => text.match(/[\\d.]+/g).map(Number);
  const light = (rgb) => {
    const [r, g, b] = rgb.map((c) => (c / 255 <= 0.04045 ? c / 255 / 12.92 : ((c / 255 + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = (element) => {
    for (let one = element; one; one = one.parentElement) {
      const found = numbers(getComputedStyle(one).backgroundColor);
      if (found.length === 3 || found[3] === 1) return found.slice(0, 3);
    }
    return [255, 255, 255];
  };
  document.querySelectorAll("details").forEach((one) => { one.open = true; });
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const poor = [];
  let count = 0;
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    if (!walker.currentNode.textContent.trim() || !element.checkVisibility()) continue;
    count += 1;
    const one = light(numbers(getComputedStyle(element).color).slice(0, 3));
    const other = light(behind(element));
    const ratio = (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
    if (ratio < 4.5) poor.push(`${ratio.toFixed(2)} ${element.className} ${walker.currentNode.textContent.trim()}`);
  }
  return { count, poor };
})()
"""


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    browser_path()
    with running_browser(tmp_path_factory.mktemp("browser")) as started:
        yield started


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shop")
    program = [sys.executable, "-c", "from pico_celery_tooling.cli.main import main; main()"]
    command = [*program, "docs", "shop_contracts", "--title", "Shop"]
    status, output = run(command, folder, {"PYTHONPATH": str(ROOT / "contracts")})
    assert status == 0, output
    return folder / "site"


@pytest.fixture(scope="module")
def nasty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("nasty") / "a site & more"
    pages = build_site(document_of(catalog.contracts), title="<Nasty> & more", contracts=catalog.contracts)
    write_site(folder, pages)
    return folder


@pytest.fixture(autouse=True)
def _as_it_was(browser: Browser) -> Iterator[None]:
    browser.resize(*WIDE)
    browser.prefer("light")
    yield
    browser.evaluate("localStorage.clear()")


def some_of(site: Path) -> list[Path]:
    """Return the pages of a site, of each kind not more than three."""
    pages = sorted(site.rglob("*.html"))
    return [page for page in pages if sum(one.parent == page.parent and one < page for one in pages) < 3]


def is_dark(browser: Browser) -> bool:
    colour: str = browser.evaluate("getComputedStyle(document.body).backgroundColor")
    return sum(int(part) for part in colour[4:-1].split(",")[:3]) < 150


def test_a_slash_focuses_the_search_which_leads_to_the_task(browser: Browser, shop: Path) -> None:
    browser.open(shop / "index.html")
    browser.press("/", 191, "/")
    assert browser.evaluate("document.activeElement.id") == "search"

    browser.type("place")
    names = browser.evaluate("[...document.querySelectorAll('#found .hit')].map((one) => one.textContent)")
    assert names[:2] == ["orders.place", "orders.v2.place"]
    assert browser.evaluate("document.getElementById('search').value") == "place"

    browser.press("ArrowDown", 40)
    assert browser.evaluate("document.querySelector('[aria-selected=true] .hit').textContent") == "orders.v2.place"
    browser.press("ArrowUp", 38)
    browser.enter()
    browser.follow()
    assert browser.evaluate("document.querySelector('h1').textContent") == "orders.place"
    assert browser.evaluate("location.protocol") == "file:"


def test_the_search_finds_by_parameter_error_and_text_and_says_when_there_is_nothing(
    browser: Browser, shop: Path
) -> None:
    browser.open(shop / "tasks" / "orders.cancel.html")

    def found(text: str) -> list[str]:
        browser.evaluate("document.getElementById('search').value = ''; document.getElementById('search').focus()")
        browser.type(text)
        told: list[str] = browser.evaluate("[...document.querySelectorAll('#found li')].map((one) => one.innerText)")
        return told

    assert any("reminders.remind" in one for one in found("order_id"))
    assert any("orders.payment_declined" in one for one in found("PaymentDeclined"))
    assert any("orders.place" in one for one in found("charge customer"))
    assert any("Voucher" in one for one in found("vouch"))
    assert found("no such thing") == ["Nothing found"]
    browser.press("Escape", 27)
    assert browser.evaluate("document.getElementById('found').hidden") is True


def test_links_lead_from_a_task_to_its_models_and_back(browser: Browser, shop: Path) -> None:
    browser.open(shop / "tasks" / "orders.place.html")
    browser.evaluate("document.querySelector('.signature a').click()")
    browser.follow()
    assert browser.evaluate("document.querySelector('h1 code').textContent") == "Order"
    browser.evaluate("[...document.querySelectorAll('main a')].find((one) => one.innerText === 'orders.place').click()")
    browser.follow()
    assert browser.evaluate("document.querySelector('h1').textContent") == "orders.place"
    assert browser.evaluate("document.querySelector('.side [aria-current=page]').textContent") == "place"


def test_nested_models_are_unfolded_by_the_keyboard(browser: Browser, shop: Path) -> None:
    browser.open(shop / "tasks" / "orders.place.html")
    browser.evaluate("document.querySelector('details.nested > summary').focus()")
    browser.enter()
    names = browser.evaluate(
        "[...document.querySelectorAll('details.nested[open] > .fields > li > .field-head > .name')]"
        ".map((one) => one.textContent)"
    )
    assert names == ["id", "lines", "ship_to", "payment"]


def test_dark_follows_the_system_until_it_is_chosen_and_the_choice_is_remembered(browser: Browser, shop: Path) -> None:
    browser.open(shop / "index.html")
    assert not is_dark(browser)
    browser.prefer("dark")
    assert is_dark(browser)
    assert eventually(
        lambda: browser.evaluate("document.getElementById('theme').getAttribute('aria-pressed')") == "true", 10
    )

    browser.evaluate("document.getElementById('theme').click()")
    assert not is_dark(browser)
    browser.open(shop / "tasks" / "orders.status.html")
    assert not is_dark(browser)
    browser.evaluate("document.getElementById('theme').click()")
    browser.prefer("light")
    browser.open(shop / "models.html")
    assert is_dark(browser)


@pytest.mark.parametrize("whole", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_a_phone_shows_pages_without_scrolling_sideways_complaints_or_foreign_requests(
    browser: Browser, shop: Path, nasty: Path, whole: bool
) -> None:
    browser.resize(*PHONE, phone=True)
    wide = []
    pages = {site: sorted(site.rglob("*.html")) if whole else some_of(site) for site in (shop, nasty)}
    for folder, page in [(site, page) for site, found in pages.items() for page in found]:
        browser.open(page)
        browser.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
        width = browser.evaluate("document.documentElement.scrollWidth")
        if width > PHONE[0]:
            wide.append((page.name, width))
        assert browser.complaints == [], page
        requested = browser.requested
        assert [url for url in requested if not url.startswith((folder.as_uri(), "data:"))] == [], page
        assert len(requested) >= 4, page  # the page, its style and its scripts: the browser does tell
    assert wide == []


def test_what_the_tests_look_for_would_be_seen(browser: Browser, tmp_path: Path) -> None:
    page = tmp_path / "bad.html"
    source = "<img src='http://127.0.0.1:9/x.png'><script>console.log('hm'); nothing()</script><p style='width:900px'>x"
    page.write_text(source, encoding="utf-8")
    browser.resize(*PHONE, phone=True)
    browser.open(page)
    assert len(browser.complaints) >= 2
    assert "http://127.0.0.1:9/x.png" in browser.requested
    assert browser.evaluate("document.documentElement.scrollWidth") > PHONE[0]


def test_text_that_looks_like_html_is_text(browser: Browser, nasty: Path) -> None:
    for page in [*some_of(nasty), nasty / "models" / "Leaf-Input.html", nasty / "models" / "Branch-Input.html"]:
        browser.open(page)
        assert browser.evaluate("document.title").endswith("<Nasty> & more"), page
        assert browser.evaluate("document.querySelectorAll('main script, main b').length") == 0
    browser.open(nasty / "tasks" / "trees.of-life.grow.html")
    assert "<script>alert(1)</script>" in browser.evaluate("document.querySelector('.prose').innerText")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_has_enough_contrast(browser: Browser, shop: Path, nasty: Path, scheme: str) -> None:
    browser.prefer(scheme)
    for page in (
        shop / "index.html",
        shop / "tasks" / "orders.place.html",
        nasty / "tasks" / "trees.of-life.grow.html",
        nasty / "models" / "Aliased.html",
    ):
        browser.open(page)
        measured = browser.evaluate(CONTRAST)
        assert measured["count"] > 20
        assert measured["poor"] == [], page


def test_the_pages_are_there_without_javascript(browser: Browser, shop: Path) -> None:
    browser.command("Emulation.setScriptExecutionDisabled", value=True)
    try:
        browser.open(shop / "tasks" / "orders.place.html")
        text = browser.evaluate("document.querySelector('main').innerText")
        controls = browser.evaluate(
            "[...document.querySelectorAll('#search, #theme')].some((one) => one.checkVisibility())"
        )
    finally:
        browser.command("Emulation.setScriptExecutionDisabled", value=False)
    assert "PaymentDeclined" in text
    assert "send_task(Orders.place)" in text
    assert controls is False
