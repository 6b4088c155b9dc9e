"""A hook of MkDocs for what the pages name outside of docs/: pictures are copied, links become plain text.

On the forge they are links; the site has no such files. A file that does not exist is a warning, which ends
a strict build.
"""

import logging
import os
import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File

PAGES = Path(__file__).resolve().parents[1]
LINK = re.compile(r"(?P<picture>!?)\[(?P<text>[^\]\n]+)\]\((?P<target>\.\.?/[^)#\s]*)(?:#[^)\s]*)?\)")
log = logging.getLogger("mkdocs.hooks.outside_links")


def on_page_markdown(markdown: str, page: Any, config: Any, files: Any) -> str:
    """Return the page's Markdown with copies of the pictures, and no link, that lie outside ``docs/``."""
    folder = (PAGES / page.file.src_uri).parent

    def inside(link: re.Match[str]) -> str:
        target = (folder / link["target"]).resolve()
        if target.is_relative_to(PAGES):
            return link[0]
        if not target.exists():
            log.warning("%s: %s does not exist", page.file.src_uri, link["target"])
        if not link["picture"]:
            return link["text"]
        copy = f"pictures/{target.parent.name}_{target.name}"
        files.append(File.generated(config, copy, abs_src_path=str(target)))
        return f"![{link['text']}]({os.path.relpath(PAGES / copy, folder)})"

    return LINK.sub(inside, markdown)
