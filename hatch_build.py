"""What a package index shows: the README, with links that hold outside the repository."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface

RELATIVE = re.compile(r"(!?)\[([^\]]*)\]\((?!https?:|#)([^)]+)\)")
"""A Markdown link or image whose target is a file of the repository."""


def published(text: str, repository: str | None) -> str:
    """Relative links made absolute below a repository's address; without one only their words stay."""

    def absolute(found: re.Match[str]) -> str:
        image, words, target = found.groups()
        if repository is None:
            return words
        return f"{image}[{words}]({repository.rstrip('/')}/{'raw' if image else 'blob'}/HEAD/{target})"

    return RELATIVE.sub(absolute, text)


class CustomMetadataHook(MetadataHookInterface):
    """Takes the address from ``Repository`` of ``[project.urls]``."""

    def update(self, metadata: dict[str, Any]) -> None:
        text = (Path(self.root) / "README.md").read_text(encoding="utf-8")
        repository = metadata.get("urls", {}).get("Repository")
        metadata["readme"] = {"content-type": "text/markdown", "text": published(text, repository)}
