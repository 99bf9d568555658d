"""What mkdocs is told beyond `mkdocs.yml`: links out of `docs/`, and the list of decisions.

Pages link to files of the repository (`../deploy/nginx.conf`), which a git host shows. The site holds only `docs/`, so
there such a link becomes the name of the file. One that leads nowhere stays a link, and fails the strict build.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Final

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import Files
from mkdocs.structure.pages import Page

_LINK: Final = re.compile(r"(?<!!)\[([^\]]+)\]\(((?:\.\./)+[^)#\s]*)(?:#[^)]*)?\)")


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Add each decision to the nav, below the list of them."""
    decisions = sorted((Path(config.docs_dir) / "decisions").glob("[0-9]*.md"))
    for group in config.nav or []:
        for entry in group.get("Explanation", ()):
            entry.get("Decisions", []).extend(f"decisions/{path.name}" for path in decisions)
    return config


def on_page_markdown(markdown: str, *, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Name the files that are outside `docs/` instead of linking to them; let the search find decisions last."""
    docs = Path(config.docs_dir)
    if page.file.src_uri.startswith("decisions/"):
        page.meta["search"] = {"boost": 0.3}
    here = docs / Path(page.file.src_uri).parent

    def named(link: re.Match[str]) -> str:
        target = Path(os.path.normpath(here / link[2]))
        if target.is_relative_to(docs) or not target.exists():
            return link[0]
        path = f"`{target.relative_to(docs.parent)}`"
        return path if link[1].strip("`") == path.strip("`") else f"{link[1]} ({path})"

    return _LINK.sub(named, markdown)
