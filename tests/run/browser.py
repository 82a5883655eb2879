"""Headless Chromium on the page of a reeved."""

import os
import tempfile

from selenium import webdriver
from selenium.common.exceptions import StaleElementReferenceException, WebDriverException
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By

from basics import eventually

DESKTOP, PHONE = (1440, 900), (390, 844)

ARGUMENTS = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars", "--no-first-run",
             "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-extensions"]


class Browser:
    def __init__(self):
        self.profile = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        options = Options()
        for argument in [*ARGUMENTS, f"--user-data-dir={self.profile.name}"]:
            options.add_argument(argument)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        self.driver = webdriver.Chrome(service=Service("/usr/bin/chromedriver", log_path=os.devnull), options=options)
        self.driver.set_page_load_timeout(60)
        self.driver.set_script_timeout(60)

    def close(self):
        self.driver.quit()
        self.profile.cleanup()

    def look(self, size, dark=False):
        """As a screen of SIZE, in a system that prefers dark or light."""
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {
            "width": size[0], "height": size[1], "deviceScaleFactor": 1, "mobile": size == PHONE})
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [
            {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]})

    def open(self, url):
        self.driver.get("about:blank")
        self.driver.get_log("browser")
        self.driver.get(url)
        eventually(lambda: self.text("#link") == "live", 40, "a live page")

    def complaints(self):
        """What the console says since the last look: errors of scripts, violations of the policy, failed requests."""
        return [entry["message"] for entry in self.driver.get_log("browser") if entry["level"] in ("SEVERE", "WARNING")]

    # -- the page

    def all(self, selector):
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def text(self, selector):
        """The visible text of the first one, or None."""
        try:
            found = self.all(selector)
            return found[0].text if found else None
        except StaleElementReferenceException:
            return None

    def visible(self, selector):
        try:
            return next((node for node in self.all(selector) if node.is_displayed()), None)
        except StaleElementReferenceException:
            return None

    def click(self, selector, seconds=20):
        def clicked():
            try:
                node = self.visible(selector)
                if node:
                    node.click()
                return node
            except WebDriverException:      # it moved, or was drawn again
                return None
        return eventually(clicked, seconds, f"something to click at {selector}")

    def type(self, selector, keys):
        self.all(selector)[0].send_keys(keys)

    def press(self, *keys):
        """Keys to whatever has the focus."""
        self.driver.switch_to.active_element.send_keys(*keys)

    def run(self, script, *arguments):
        return self.driver.execute_script(script, *arguments)

    def until(self, condition, what, seconds=30):
        try:
            return eventually(condition, seconds, what)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.text('body')}") from error

    # -- the list

    def row(self, name):
        """(state, description) as the list shows them, or None."""
        return self.run("""
            const link = document.querySelector(`a.name[href="#/${encodeURIComponent(arguments[0])}"]`);
            const row = link?.closest("tr");
            return row && [row.dataset.state, row.querySelector(".text").textContent];""", name)

    def until_state(self, name, *states, seconds=30):
        self.until(lambda: (row := self.row(name)) and row[0] in states, f"{name} in {states}", seconds)

    def act(self, name, action):
        """Click a button of NAME's row: 'start', 'stop', 'restart', 'log', 'clear'."""
        self.click(f'tr:has(a.name[href="#/{name.replace(":", "%3A")}"]) button.{action}')

    def shoot(self, path):
        self.driver.save_screenshot(str(path))
        assert path.stat().st_size > 5000
