"""A hook of MkDocs: links from the pages to files of the checkout outside of docs/ become plain text.

On the forge they are links; the site has no such files. A file that does not exist is a warning, which ends
a strict build.
"""

import logging
import re
from pathlib import Path
from typing import Any

PAGES = Path(__file__).resolve().parents[1]
LINK = re.compile(r"\[(?P<text>[^\]\n]+)\]\((?P<target>\.\.?/[^)#\s]*)(?:#[^)\s]*)?\)")
log = logging.getLogger("mkdocs.hooks.outside_links")


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Return the page's Markdown without links that leave ``docs/``."""
    folder = (PAGES / page.file.src_uri).parent

    def plain(link: re.Match[str]) -> str:
        target = (folder / link["target"]).resolve()
        if target.is_relative_to(PAGES):
            return link[0]
        if not target.exists():
            log.warning("%s: %s does not exist", page.file.src_uri, link["target"])
        return link["text"]

    return LINK.sub(plain, markdown)
