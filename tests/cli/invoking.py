"""What the fixture `invoke` gives: call it with arguments of lpc."""

from __future__ import annotations

from typing import Protocol

from click.testing import Result


class Invoke(Protocol):
    def __call__(self, *arguments: object) -> Result: ...
