"""`deploy/prometheus/consoles/runbooks.html`: the runbooks as a page that Prometheus serves, for the links in alerts.

It is the section *Alerts* of docs/operations.md. Prometheus takes it for the template of a console, and so has it
wherever people reach Prometheus: no other host need be known, and none on the internet.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from markdown import Markdown

_SECTION: Final = re.compile(r"^## Alerts\n(.*?)(?=^## |\Z)", re.DOTALL | re.MULTILINE)
_HEADING: Final = re.compile(r"^#(##+ )", re.MULTILINE)
_LINK: Final = re.compile(r"\[([^\]]+)\]\(([^)#\s]*)(#[\w-]+)?\)")
_PAGE: Final = """\
<!doctype html>
<!-- Made from docs/operations.md by `make docs-pages`. -->
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>topfive: what to do when an alert calls</title>
<style>
:root {{ color-scheme: light dark; }}
body {{ font: 1rem/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 46rem; padding: 0 1rem; }}
h2 {{ margin-top: 2.5rem; }}
h2:target {{ border-left: .4rem solid #d9480f; padding-left: .6rem; }}
pre, code {{ font-size: .9em; }}
pre {{ overflow-x: auto; }}
</style>
</head>
<body>
<h1>Alerts of topfive</h1>
{body}
</body>
</html>
"""


def runbooks_page(operations: Path) -> str:
    """The page as it should be; `operations` is docs/operations.md."""
    text = operations.read_text(encoding="utf-8")
    found = _SECTION.search(text)
    if found is None:
        raise ValueError(f"{operations} has no section 'Alerts'")
    section = _HEADING.sub(r"\1", found[1])
    here = {f"#{name.lower()}" for name in re.findall(r"^## (\w+)$", section, re.MULTILINE)}

    def named(link: re.Match[str]) -> str:
        """A link that leads out of the page, as the name of the page that it leads to."""
        text, page, anchor = link[1], link[2], link[3]
        return link[0] if not page and anchor in here else f"{text} (docs/{page or operations.name})"

    body = Markdown(extensions=["fenced_code", "tables", "toc"]).convert(_LINK.sub(named, section))
    return _PAGE.format(body=body.replace("{{", '{{"{{"}}'))  # for Prometheus it is a template
