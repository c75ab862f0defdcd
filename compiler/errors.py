"""What users see of trouble: one line that says what is wrong, where, and what to do about it."""

from __future__ import annotations


class LpcError(Exception):
    """`file: node 'name' (Op): reason; remedy`. The command line prints it and exits with 1."""

    def __init__(self, message: str):
        super().__init__(" ".join(message.split()))


class LpcWarning(UserWarning):
    """An assumption that the compiler made about a model, in one line."""
