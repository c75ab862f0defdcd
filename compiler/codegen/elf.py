"""A blob of bytes as an x86-64 ELF relocatable object, written without passing through LLVM.

    ELF header | blob | .symtab | .strtab | .shstrtab | section headers

One read-only section `.rodata.<symbol>` holds the blob; one hidden global symbol names its start.
LLVM would do the same with `.incbin`, at ten times the cost in time and three copies in memory:
weights of 25 to 100 MB are common. Field by field: System V gABI, chapters 4 and 5.
"""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import numpy.typing as npt

_HEADER = struct.Struct("<16sHHIQQQIHHHHHH")
_SECTION = struct.Struct("<IIQQQQIIQQ")
_SYMBOL = struct.Struct("<IBBHQQ")

_PROGBITS, _SYMTAB, _STRTAB = 1, 2, 3
_ALLOC = 2
_RELOCATABLE, _X86_64 = 1, 62
_GLOBAL_OBJECT, _HIDDEN = 0x11, 2


def write_blob_object(path: Path, symbol: str, blob: npt.NDArray[np.uint8], alignment: int) -> None:
    """Writes the object file `path` that defines `symbol` as the contents of `blob`."""
    names = b"\0" + symbol.encode() + b"\0"
    sections = ("", f".rodata.{symbol}", ".symtab", ".strtab", ".shstrtab", ".note.GNU-stack")
    section_names = b"".join(name.encode() + b"\0" for name in sections)
    symbols = bytes(_SYMBOL.size) + _SYMBOL.pack(1, _GLOBAL_OBJECT, _HIDDEN, 1, 0, len(blob))

    start = -(-_HEADER.size // alignment) * alignment
    data = start + len(blob)
    at_symbols = -(-data // 8) * 8
    at_names = at_symbols + len(symbols)
    at_section_names = at_names + len(names)
    end = at_section_names + len(section_names)
    at_headers = -(-end // 8) * 8

    def section(name: str, kind: int, flags: int, begin: int, size: int, *rest: int) -> bytes:
        offset = section_names.index(name.encode() + b"\0")
        return _SECTION.pack(offset, kind, flags, 0, begin, size, *rest)

    headers = (
        bytes(_SECTION.size),
        section(sections[1], _PROGBITS, _ALLOC, start, len(blob), 0, 0, alignment, 0),
        # sh_link: the section of the names; sh_info: the first symbol that is not local
        section(".symtab", _SYMTAB, 0, at_symbols, len(symbols), 3, 1, 8, _SYMBOL.size),
        section(".strtab", _STRTAB, 0, at_names, len(names), 0, 0, 1, 0),
        section(".shstrtab", _STRTAB, 0, at_section_names, len(section_names), 0, 0, 1, 0),
        section(".note.GNU-stack", _PROGBITS, 0, end, 0, 0, 0, 1, 0),
    )
    ident = b"\x7fELF" + bytes((2, 1, 1)) + bytes(9)  # 64-bit, little-endian, version 1
    header = _HEADER.pack(
        ident, _RELOCATABLE, _X86_64, 1, 0, 0, at_headers, 0,
        _HEADER.size, 0, 0, _SECTION.size, len(headers), sections.index(".shstrtab"),
    )  # fmt: skip
    with path.open("wb") as file:
        file.write(header.ljust(start, b"\0"))
        file.write(memoryview(blob.data))
        file.write(bytes(at_symbols - data) + symbols + names + section_names)
        file.write(bytes(at_headers - end) + b"".join(headers))
