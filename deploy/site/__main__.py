"""Write all pages that are made from the code."""

from __future__ import annotations

from deploy.site.pages import DOCS, PAGES

if __name__ == "__main__":
    for name, made in PAGES.items():
        (DOCS / name).write_text(made(), encoding="utf-8")
