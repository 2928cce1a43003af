"""Console blocks of a document: read, run in one shell, and compared.

In a block a line that begins with `$ ` is a command, over several lines if they end in a backslash; what
follows up to the next one is its output. Two things are not compared letter by letter, and nothing else:

    …            stands for any text; alone in its line, for any lines
    VARIABLES    an id, hash or key shown in the document is another one in each run: the first time it is
                 shown it must have the same form, from then on it must be the one that was met first, in
                 commands too
"""

from __future__ import annotations

import os
import queue
import re
import subprocess
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

# What a run makes anew: how it is told in the document, and the form it must have; longer forms first.
VARIABLES = (
    (r"[A-Za-z0-9+/]{43}=", r"[A-Za-z0-9+/]{43}="),  # a root
    (r"(?<=\+)[A-Za-z0-9+/]{44}(?![A-Za-z0-9+/=])", r"[A-Za-z0-9+/]{44}"),  # a public key
    (r"(?<![A-Za-z0-9_-])[A-Za-z0-9_-]{43}(?![A-Za-z0-9_=-])", r"[A-Za-z0-9_-]{43}"),  # a leaf hash
    (r"(?<![0-9a-z])[0-9a-f]{24}(?![0-9a-z])", r"[0-9a-f]{24}"),  # a consent
    # A key id; in the document one with letters and digits, to be told from a word and a number.
    (r"(?<![0-9a-z])(?=\d*[a-f])(?=[a-f]*\d)[0-9a-f]{8}(?![0-9a-z])", r"[0-9a-f]{8}"),
)
_VARIABLE = re.compile("|".join(f"({told})" for told, _ in VARIABLES))
_TIMEOUT_S = 40


@dataclass(frozen=True, slots=True)
class Step:
    """One command and what it prints."""

    command: str
    output: tuple[str, ...]

    @property
    def stays(self) -> bool:
        """Whether it goes on in the background."""
        return self.command.endswith("&")


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block, and the heading it stands under."""

    heading: str
    language: str
    text: str

    @property
    def steps(self) -> tuple[Step, ...]:
        found: list[tuple[str, list[str]]] = []
        for line in self.text.replace("\\\n", "").splitlines():
            if line.startswith("$ "):
                found.append((line[2:], []))
            else:
                found[-1][1].append(line)
        return tuple(Step(command, tuple(output)) for command, output in found)


def blocks(page: str) -> Iterator[Block]:
    """The fenced blocks of a Markdown page, in its order."""
    heading, fence, lines = "", None, list[str]()
    for line in page.splitlines():
        if fence is None and line.startswith("#"):
            heading = line.lstrip("# ")
        elif fence is None and line.startswith("```"):
            fence, lines = line[3:], []
        elif fence is not None and line == "```":
            yield Block(heading, fence, "\n".join(lines))
            fence = None
        elif fence is not None:
            lines.append(line)


class Comparison:
    """What the values of a document are called in this run. `known` are declared from the start."""

    def __init__(self, known: Mapping[str, str] | None = None) -> None:
        self._known = dict(known or {})

    def here(self, text: str) -> str:
        """`text` of the document with this run's values, which are not looked into again."""
        if not self._known:
            return text
        shown = "|".join(map(re.escape, sorted(self._known, key=len, reverse=True)))
        return re.sub(shown, lambda found: self._known[found[0]], text)

    def matches(self, expected: tuple[str, ...], printed: str) -> bool:
        """Whether the command printed what the document shows; then its values are known."""
        shown = list[str]()
        pattern = "".join(self._line(line, shown) for line in expected)
        found = re.fullmatch(pattern, printed)
        if found is None:
            return False
        self._known.update(zip(shown, found.groups(), strict=True))
        return True

    def _line(self, line: str, shown: list[str]) -> str:
        if line == "…":
            return r"(?:.*\n)*?"
        return ".*?".join(self._piece(piece, shown) for piece in line.split("…")) + r"\n"

    def _piece(self, text: str, shown: list[str]) -> str:
        parts, at = list[str](), 0
        text = self.here(text)
        for found in _VARIABLE.finditer(text):
            value = found[0]
            parts.append(re.escape(text[at : found.start()]))
            at = found.end()
            if value in self._known.values():
                parts.append(re.escape(value))
            elif value in shown:
                parts.append(f"\\{shown.index(value) + 1}")
            else:
                shown.append(value)
                assert found.lastindex is not None
                parts.append(f"({VARIABLES[found.lastindex - 1][1]})")
        return "".join(parts) + re.escape(text[at:])


class Shell:
    """One bash for all commands, in a folder, with a `bin` of our own first in its path."""

    def __init__(self, folder: Path, bin_: Path) -> None:
        self._errors = (folder / ".errors").open("w+")
        self._bash = subprocess.Popen(
            ["bash", "--noprofile", "--norc"],
            cwd=folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            env={"HOME": str(folder), "PATH": f"{bin_}:{os.environ['PATH']}", "LC_ALL": "C.UTF-8"},
        )
        self._lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        threading.Thread(target=self._read, daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Ends what was left in the background, then itself."""
        self._send('[ -z "$!" ] || { kill $!; wait $!; }; exit')
        self._bash.wait(_TIMEOUT_S)
        for stream in (self._bash.stdin, self._bash.stdout, self._errors):
            assert stream is not None
            stream.close()

    def run(self, step: Step) -> str:
        """What the command prints, with a newline at the end of every line and no carriage returns."""
        self._send(step.command)
        if step.stays:
            return "".join(self._line() for _ in step.output)
        self._send("echo; echo '<end>'")
        printed = list[str]()
        while (line := self._line()) != "<end>\n":
            printed.append(line)
        text = "".join(printed).replace("\r", "")[:-1]
        return text if not text or text.endswith("\n") else text + "\n"

    def errors(self) -> str:
        """What was written to standard error so far."""
        self._errors.seek(0)
        return self._errors.read()

    def _send(self, command: str) -> None:
        assert self._bash.stdin is not None
        self._bash.stdin.write(command + "\n")
        self._bash.stdin.flush()

    def _line(self) -> str:
        try:
            line = self._lines.get(timeout=_TIMEOUT_S)
        except queue.Empty:
            line = None
        if line is None:
            raise RuntimeError(f"the shell has nothing more to say; its errors are:\n{self.errors()}")
        return line

    def _read(self) -> None:
        assert self._bash.stdout is not None
        for line in self._bash.stdout:
            self._lines.put(line)
        self._lines.put(None)
