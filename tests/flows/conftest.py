"""The browser of tests/browser, for flows that need a site of their own."""

from tests.browser.conftest import chromium

__all__ = ["chromium"]
