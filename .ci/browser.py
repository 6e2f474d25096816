"""Open pages in a headless Chromium, and check what only a browser knows.

python .ci/browser.py                                reports of simulated particles
python .ci/browser.py report.html … --shots FOLDER   these; with pictures of them
python .ci/browser.py --docs docs/_build/html        each page of the built docs

On a desktop's screen and on a phone's, in light and in dark: nothing is written to the
console, nothing is loaded from elsewhere, every image is shown, and nothing is cut off.
In reports, every button sorts its column both ways. Needs Chromium or Chrome on the
PATH, or its path in the variable BROWSER; no other package.
"""

import argparse
import base64
import json
import os
import shutil
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
WIDTHS, SCHEMES = (1400, 400), ("light", "dark")

# Whether each button sorts: the values of its column after each of two clicks.
SORTED = """
(() => {
  const wrong = [];
  for (const table of document.querySelectorAll("table.sortable"))
    for (const [column, head] of [...table.tHead.rows[0].cells].entries()) {
      const button = head.querySelector("button");
      if (!button) continue;
      const rows = table.tBodies[0].rows.length, seen = new Set();
      for (let click = 0; click < 2; click++) {
        button.click();
        const order = head.getAttribute("aria-sort");
        seen.add(order);
        const cells = [...table.tBodies[0].rows].map((row) => row.cells[column]);
        const values = head.hasAttribute("data-numeric")
          ? cells.map((c) => c.dataset.sort).filter((v) => v).map(Number)
          : cells.map((c) => c.textContent.trim());
        const compare = new Intl.Collator(undefined, { numeric: true }).compare;
        for (let i = 1; i < values.length; i++) {
          const [a, b] = order === "ascending" ? [i - 1, i] : [i, i - 1];
          const isBefore = typeof values[a] === "number"
            ? values[a] <= values[b] : compare(values[a], values[b]) <= 0;
          if (!isBefore) wrong.push(button.textContent + " " + order);
        }
      }
      if (seen.size !== 2) wrong.push(button.textContent + " " + [...seen]);
      if (rows !== table.tBodies[0].rows.length) wrong.push("rows lost");
      if (table.querySelectorAll("[aria-sort]").length !== 1) wrong.push("two sorted");
    }
  return wrong;
})()
"""
HIDDEN_IMAGES = (
    "[...document.images].filter((i) => !(i.complete && i.naturalWidth)).length"
)
# What reaches beyond the screen, but for what is scrolled by itself, such as a table. A
# text that has to be scrolled as a whole is cut off.
CUT_OFF = """
(() => {
  const width = WIDTH, found = [];
  const text = document.querySelector("article") ?? document.body;
  const isScrolled = (e) => {
    for (; e && e !== text; e = e.parentElement)
      if (["auto", "scroll"].includes(getComputedStyle(e).overflowX)) return true;
    return false;
  };
  for (const e of text.querySelectorAll("*")) {
    const box = e.getBoundingClientRect();
    if (box.width && box.right > width + 1 && !isScrolled(e))
      found.push(`${e.localName}.${e.className} to ${Math.round(box.right)}`);
  }
  for (const e of document.querySelectorAll("header *")) {
    const box = e.getBoundingClientRect();
    if (box.width && box.right > width + 1)
      found.push(`${e.localName}.${e.className} to ${Math.round(box.right)}`);
  }
  if (document.documentElement.scrollWidth > width)
    found.push(`page to ${document.documentElement.scrollWidth}`);
  return found.slice(0, 3);
})()
"""
N_BUTTONS = "document.querySelectorAll('th button').length"


class Browser:
    """Commands of the DevTools protocol, by a pipe, and the events that come back."""

    def __init__(self, to_browser, from_browser):
        self._to, self._from = to_browser, from_browser
        self._n_sent, self._rest = 0, b""
        self.session = None
        self.events = []

    def call(self, method, **params):
        """Send a command and wait for its result."""
        self._n_sent += 1
        message = {"id": self._n_sent, "method": method, "params": params}
        if self.session is not None:
            message["sessionId"] = self.session
        os.write(self._to, json.dumps(message).encode() + b"\0")
        while (answer := self._next()).get("id") != self._n_sent:
            self.events.append(answer)
        if "error" in answer:
            raise RuntimeError(f"{method}: {answer['error']}")
        return answer["result"]

    def wait_for(self, method):
        """Wait for an event."""
        while not any(event.get("method") == method for event in self.events):
            self.events.append(self._next())

    def evaluate(self, expression):
        """The value of an expression in the page."""
        done = self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        if "exceptionDetails" in done:
            raise RuntimeError(done["exceptionDetails"])
        return done["result"]["value"]

    def _next(self):
        while b"\0" not in self._rest:
            received = os.read(self._from, 2**20)
            if not received:
                raise RuntimeError("the browser has ended")
            self._rest += received
        message, _, self._rest = self._rest.partition(b"\0")
        return json.loads(message)


@contextmanager
def browser():
    """Start a browser with a page of its own."""
    path = os.environ.get("BROWSER") or next(filter(None, map(shutil.which, NAMES)), "")
    if not path:
        sys.exit(f"No browser is found: install one of {', '.join(NAMES)}")
    (child_in, to_child), (from_child, child_out) = os.pipe(), os.pipe()

    def connect():  # the browser reads descriptor 3 and writes to descriptor 4
        kept_in, kept_out = os.dup(child_in), os.dup(child_out)
        os.dup2(kept_in, 3)
        os.dup2(kept_out, 4)

    with tempfile.TemporaryDirectory() as profile:
        words = ["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"]
        words += ["--no-first-run", "--remote-debugging-pipe"]
        words += [f"--user-data-dir={profile}"]
        process = subprocess.Popen(
            [path, *words],
            preexec_fn=connect,
            close_fds=False,
            stderr=subprocess.DEVNULL,
        )
        try:
            made = Browser(to_child, from_child)
            target = made.call("Target.createTarget", url="about:blank")["targetId"]
            attached = made.call("Target.attachToTarget", targetId=target, flatten=True)
            made.session = attached["sessionId"]
            for domain in ("Page", "Runtime", "Log", "Network"):
                made.call(f"{domain}.enable")
            yield made
        finally:
            process.terminate()
            process.wait()


def problems_of(chromium, page, shots, site):
    """Open a page at each width and in each color scheme; what is wrong.

    `site` is the folder of the docs that it is a page of, or None for a report.
    """
    name = page.name if site is None else str(page.relative_to(site))
    found = []
    for width in WIDTHS:
        chromium.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=900,
            deviceScaleFactor=1,
            mobile=width < 600,
        )
        for scheme in SCHEMES:
            chromium.events.clear()
            feature = {"name": "prefers-color-scheme", "value": scheme}
            chromium.call("Emulation.setEmulatedMedia", features=[feature])
            chromium.call("Page.navigate", url=page.resolve().as_uri())
            chromium.wait_for("Page.loadEventFired")
            where = f"{name} at {width}, {scheme}: "
            cut_off = chromium.evaluate(CUT_OFF.replace("WIDTH", str(width)))
            found += [f"{where}cut off: {element}" for element in cut_off]
            if n_hidden := chromium.evaluate(HIDDEN_IMAGES):
                found.append(f"{where}{n_hidden} images are not shown")
            if shots is not None:
                stem = name.removesuffix(".html").replace(os.sep, "-")
                save(chromium, shots / f"{stem}-{width}-{scheme}.png")
            if site is None:
                if not chromium.evaluate(N_BUTTONS):
                    found.append(f"{where}no column can be sorted")
                found += [f"{where}not sorted: {w}" for w in chromium.evaluate(SORTED)]
            texts = [complaint(event, site) for event in chromium.events]
            found += [where + text for text in texts if text]
    return found


def complaint(event, site):
    """What an event says that should not happen, or None."""
    method, params = event.get("method"), event.get("params", {})
    if method == "Runtime.exceptionThrown":
        return json.dumps(params)
    if method == "Runtime.consoleAPICalled":
        words = " ".join(str(argument.get("value")) for argument in params["args"])
        is_theme = params["type"] == "log" and words.startswith("[PST]")
        return None if site is not None and is_theme else words
    if method == "Log.entryAdded":
        return params["entry"]["text"]
    if method == "Network.requestWillBeSent":
        url = params["request"]["url"]
        is_own = params["type"] == "Document" and url.startswith("file:")
        if site is not None:
            is_own = url.startswith(site.resolve().as_uri())
        return None if is_own or url.startswith(("data:", "blob:")) else f"loads {url}"
    return None


def save(chromium, path):
    """Take a picture of the whole page."""
    shot = chromium.call("Page.captureScreenshot", captureBeyondViewport=True)
    path.write_bytes(base64.b64decode(shot["data"]))


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("pages", nargs="*", type=Path)
    parser.add_argument("--docs", type=Path, metavar="FOLDER", help="the built docs")
    parser.add_argument("--shots", type=Path, metavar="FOLDER")
    options = parser.parse_args()
    site = options.docs
    if options.shots is not None:
        options.shots.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, browser() as chromium:
        pages = options.pages
        if site is not None and not pages:
            pages = sorted(set(site.rglob("*.html")) - set(site.rglob("_*/**/*.html")))
        if not pages:
            sys.path[:0] = [str(ROOT), str(ROOT / "tests")]
            from report_pages import write_pages

            pages = write_pages(Path(folder))
        found = []
        for page in pages:
            found += problems_of(chromium, page, options.shots, site)
    print(*found, sep="\n")
    print(f"{len(pages)} pages, {len(found)} problems")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main())
