"""Copies of the peers' packages in which cpuid raises SIGILL: a mask without CPUID faulting.

    0f a2 cpuid   ⇒   0f ff ud0

Both take two bytes, so nothing moves. ud0 rather than the usual ud2 (0f 0b), which compilers emit
as a trap: the handler in maskcpuid.c must not take a crash for a question. Only what a disassembler
takes for an instruction is replaced, never the same bytes within a constant or an operand.

The copies lie in the benchmark cache; files without cpuid are links to the installed ones.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import re
import shutil
import struct
import subprocess
from collections.abc import Iterator
from fcntl import LOCK_EX, flock
from importlib import metadata
from pathlib import Path

PEERS = ("onnxruntime", "openvino")
CPUID, UD0 = b"\x0f\xa2", b"\x0f\xff"
PT_LOAD = 1


class PatchError(Exception):
    """No patched copy can be made; the text says why."""


def patched_packages(cache: Path) -> Path:
    """The folder that holds the patched peers, to be put first on PYTHONPATH."""
    folder = patched_folder(cache)
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / "patching.lock").open("w") as lock:
        flock(lock, LOCK_EX)  # takes a minute: whoever comes second waits for the first
        if not folder.exists():
            for stale in cache.glob("patched-*"):
                shutil.rmtree(stale)
            partial = folder.with_suffix(".partial")
            for name, package in _installed().items():
                _copy_patched(package, partial / name)
            partial.mkdir(parents=True, exist_ok=True)
            partial.rename(folder)
    return folder


def patched_folder(cache: Path) -> Path:
    """Its name tells the peers' versions and that of this file."""
    digest = hashlib.sha256(Path(__file__).read_bytes())
    for name in _installed():
        digest.update(f"{name} {metadata.version(name)}\n".encode())
    return cache / f"patched-{digest.hexdigest()[:12]}"


def _installed() -> dict[str, Path]:
    return {name: folder for name in PEERS if (folder := _package_folder(name))}


def _package_folder(name: str) -> Path | None:
    spec = importlib.util.find_spec(name)
    return Path(spec.origin).parent if spec and spec.origin else None


def _copy_patched(source: Path, target: Path) -> None:
    for at, folders, names in os.walk(source):
        folders[:] = [f for f in folders if f != "__pycache__"]
        into = target / Path(at).relative_to(source)
        into.mkdir(parents=True)
        for name in names:
            content = (Path(at) / name).read_bytes() if ".so" in name else b""
            if CPUID in content and content.startswith(b"\x7fELF"):
                (into / name).write_bytes(patched(Path(at) / name, content))
            else:
                _link(Path(at) / name, into / name)


def _link(source: Path, target: Path) -> None:
    """A hard link: a library finds its neighbours by its own path, as symbolic links resolve."""
    try:
        target.hardlink_to(source.resolve())
    except OSError:  # another file system
        shutil.copyfile(source, target)


def patched(library: Path, content: bytes) -> bytes:
    """`content` of the ELF file `library` with each instruction cpuid replaced by ud0."""
    result = bytearray(content)
    for address in cpuid_addresses(library):
        offset = _file_offset(content, address)
        if content[offset : offset + 2] != CPUID:
            raise PatchError(f"{library}: no cpuid at {address:#x}")
        result[offset : offset + 2] = UD0
    return bytes(result)


def cpuid_addresses(library: Path) -> Iterator[int]:
    """Virtual addresses of the instructions cpuid in all code sections."""
    disassembler = shutil.which("objdump")
    if disassembler is None:
        raise PatchError("no objdump to find the instructions cpuid of the peers")
    command = [disassembler, "-d", "--no-show-raw-insn", str(library)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout
        # Text of gigabytes: searched in blocks, cut at line ends.
        rest = b""
        while block := process.stdout.read(1 << 22):
            text, _, rest = (rest + block).rpartition(b"\n")
            for match in re.finditer(rb"^ *([0-9a-f]+):\s+cpuid", text, re.MULTILINE):
                yield int(match[1], 16)
    if process.returncode:
        raise PatchError(f"{library}: objdump failed")


def _file_offset(elf: bytes, address: int) -> int:
    """Where the byte at a virtual address lies in a 64-bit ELF file, by its program headers."""
    (table,) = struct.unpack_from("<Q", elf, 32)
    entry, count = struct.unpack_from("<HH", elf, 54)
    for index in range(count):
        kind, _, offset, start, _, size = struct.unpack_from("<IIQQQQ", elf, table + index * entry)
        if kind == PT_LOAD and start <= address < start + size:
            return int(offset + address - start)
    raise PatchError(f"no segment holds {address:#x}")
