"""The one exception of the runtime."""

from __future__ import annotations


class LpcRuntimeError(Exception):
    """A library that cannot be loaded or a call that does not fit the model; one line."""

    def __init__(self, message: str):
        super().__init__(" ".join(message.split()))
