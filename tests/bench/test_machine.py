"""What is told about the machine."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from gateway.bench.machine import cpu_seconds, describe, file_system, usable_cores

MOUNTS = """\
/dev/vda / ext4 rw 0 0
tmpfs {tmp} tmpfs rw 0 0
/dev/vdb {tmp}/disk xfs rw 0 0
/dev/vdc {tmp}/dis btrfs rw 0 0
"""


def test_every_line_says_something(tmp_path: Path) -> None:
    told = describe(tmp_path)
    assert {"processor", "cores", "kernel", "disk", "Python", "packages"} <= told.keys()
    assert all(told.values())
    assert int(told["cores"]) == len(usable_cores()) >= 1


@pytest.mark.parametrize(
    ("folder", "expected"),
    [
        ("disk/deep", "xfs on /dev/vdb"),
        ("disk", "xfs on /dev/vdb"),
        ("diskette", "tmpfs on tmpfs"),
        ("", "tmpfs on tmpfs"),
    ],
)
def test_the_disk_is_that_of_the_nearest_mount(tmp_path: Path, folder: str, expected: str) -> None:
    mounts = tmp_path / "mounts"
    mounts.write_text(MOUNTS.format(tmp=tmp_path))
    assert file_system(tmp_path / folder, mounts) == expected


def test_without_a_list_of_mounts_the_disk_is_unknown(tmp_path: Path) -> None:
    assert file_system(tmp_path, tmp_path / "missing") == "unknown"


@pytest.mark.skipif(not Path("/proc/self/schedstat").exists(), reason="the kernel keeps no schedstat")
def test_cpu_time_grows_with_work() -> None:
    before = cpu_seconds(os.getpid())
    assert before is not None
    assert sum(i * i for i in range(200_000)) > 0
    after = cpu_seconds(os.getpid())
    assert after is not None
    assert after > before


def test_a_process_that_is_not_there_has_no_cpu_time() -> None:
    assert cpu_seconds(2**22 + 1) is None
