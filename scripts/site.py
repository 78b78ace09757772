"""Hooks of the documentation site: the README is its first page, and links that leave docs/ lead to the repository.

So every page reads the same on the site and in the repository, and nothing is written twice.
"""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath
from posixpath import normpath

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[1]
MERMAID = ROOT / "build" / "mermaid.min.js"
"""If it is there, the site draws its diagrams with it; otherwise the reader's browser loads it from unpkg.com."""
_LINK = re.compile(r"(?<=\]\()(?!#)([^):\s#]+)(#[^)\s]*)?(?=\))")
_FENCE = re.compile(r"^(```.*?^```)", re.MULTILINE | re.DOTALL)


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """The site's own mermaid, if there is one."""
    if MERMAID.exists():
        config.extra_javascript.append(f"assets/{MERMAID.name}")
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """The README becomes index.md."""
    files.append(File.generated(config, "index.md", content=(ROOT / "README.md").read_text()))
    if MERMAID.exists():
        files.append(File.generated(config, f"assets/{MERMAID.name}", content=MERMAID.read_bytes()))
    # Pages of one alert each are reached from their index.
    for file in files:
        if file.src_uri.startswith("runbooks/"):
            file.inclusion = file.inclusion.NOT_IN_NAV
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Links as the site needs them; what stands in code blocks is left alone."""
    here = PurePosixPath("README.md" if page.file.src_uri == "index.md" else f"docs/{page.file.src_uri}")

    def lead(match: re.Match[str]) -> str:
        return _target(here, match[1], config.repo_url or "") + (match[2] or "")

    parts = _FENCE.split(markdown)
    return "".join(part if part.startswith("```") else _LINK.sub(lead, part) for part in parts)


def _target(page: PurePosixPath, link: str, repository: str) -> str:
    """Where a link of the repository's page ``page`` leads on the site."""
    path = normpath(str(page.parent / link))
    if path == "README.md":
        path = "docs/index.md"
    if not path.startswith("docs/"):
        return f"{repository}/blob/main/{path}"
    inside = PurePosixPath(path).relative_to("docs")
    at = page.relative_to("docs") if page.parts[0] == "docs" else PurePosixPath("index.md")
    return "../" * (len(at.parts) - 1) + str(inside)
