"""The one exception that users see: a single line that says what is wrong, where, and what to do about it."""

from __future__ import annotations


class LpcError(Exception):
    """`file: node 'name' (Op): reason; remedy`. The command line prints it and exits with code 1."""

    def __init__(self, message: str):
        super().__init__(" ".join(message.split()))
