"""``python -m neko``."""

from neko.cli import app

app()
