"""The page in a real browser, where one is installed: everything is drawn, nothing sticks out, no rule is broken."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from es_randomized.report.page import write_page
from es_randomized.runs.folder import RunFolder

BROWSER = shutil.which("chromium") or shutil.which("google-chrome")
CHECKPOINTS = Path(__file__).parents[2] / "checkpoints"
LOOK = """<script>
document.querySelectorAll("details").forEach(each => each.open = true);
addEventListener("load", () => {
  const images = [...document.images];
  const found = {width: document.documentElement.clientWidth, content: document.documentElement.scrollWidth,
                 images: images.length, drawn: images.filter(each => each.naturalWidth > 0).length};
  document.body.textContent = "FOUND" + JSON.stringify(found) + "END";
});
</script>"""


@pytest.mark.skipif(not BROWSER, reason="no Chromium here")
def test_a_browser_draws_the_page_without_scrolling_sideways(tmp_path):
    page = write_page([RunFolder(CHECKPOINTS / "treasure-3x3-0")], tmp_path)
    text = page.read_text()
    assert "default-src 'none';" in text
    # The page forbids scripts; only this copy may run the one that looks at it.
    copy = text.replace("default-src 'none';", "default-src 'none'; script-src 'unsafe-inline';")
    page.write_text(copy.replace("</body>", f"{LOOK}</body>"))
    command = [BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--window-size=500,900", "--dump-dom"]
    shown = subprocess.run([*command, page.as_uri()], capture_output=True, text=True, timeout=100)
    found = json.loads(re.search(r"FOUND(.*)END", shown.stdout).group(1))
    assert found["content"] == found["width"] <= 500
    assert found["drawn"] == found["images"] == text.count("<img ") > 5
