"""The section `[labels]`: what it takes, from file and environment, and what it becomes."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.config import load
from gateway.core.labels.findings import Policy
from gateway.house import label_policy
from tests.config.files import LEAST, problems, read


def test_unsaid_is_what_a_house_has_that_says_nothing(tmp_path: Path) -> None:
    assert label_policy(read(tmp_path, LEAST)) == Policy()


def test_what_is_said_is_how_sensitive_records_are_known(tmp_path: Path) -> None:
    (tmp_path / "staff.txt").write_text("# as of today\npat-a  # the porter\n\npat-b\n")
    said = (
        '[labels]\nemployees = "staff.txt"\nvips = ["pat-c"]\nvictims = ["pat-d"]\nadolescent = "12-18"\n'
        "confidence = 0.4\n"
    )
    assert label_policy(read(tmp_path, LEAST + said)) == Policy(
        confidence=0.4,
        employees=frozenset({"pat-a", "pat-b"}),
        vips=frozenset({"pat-c"}),
        victims=frozenset({"pat-d"}),
        adolescent=(12, 18),
    )


def test_what_is_part_of_a_programme_is_one(tmp_path: Path) -> None:
    parts = 'ward = "detox"\nroom = "ward"\nlab = "hospital"\ndetox = "hospital"\n'
    said = f'[labels]\npart2_organizations = ["detox"]\n[consent.part_of]\n{parts}'
    known = label_policy(read(tmp_path, LEAST + said))
    assert known.part2_organizations == {"Organization/detox", "Organization/ward", "Organization/room"}


def test_in_the_environment_a_slash_makes_a_path(tmp_path: Path) -> None:
    path = tmp_path / "consentry.toml"
    path.write_text(LEAST)
    (tmp_path / "staff").write_text("pat-a\n")
    settings = load(
        path,
        {
            "CONSENTRY_LABELS__EMPLOYEES": "./staff",
            "CONSENTRY_LABELS__VIPS": "pat-b, pat-c",
            "CONSENTRY_LABELS__ADOLESCENT": "0-18",
        },
    )
    assert (settings.labels.employees, settings.labels.vips) == (("pat-a",), ("pat-b", "pat-c"))
    assert label_policy(settings).adolescent == (0, 18)


IDS = "write a list of ids, each once, or the path of a file with an id on each line"
AGES = 'write two birthdays, such as "12-18"'


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("employees", '"nowhere.txt"', IDS),
        ("employees", '"."', IDS),
        ("employees", '"latin-1.txt"', IDS),
        ("employees", '["Patient/pat-a"]', IDS),
        ("employees", '["pat-a", "pat-a"]', IDS),
        ("employees", "7", IDS),
        ("vips", '"references.txt"', "line 2 of the file is not an id"),
        ("vips", '"twice.txt"', "line 3 of the file is not an id, or one that stands above"),
        ("adolescent", '"18-12"', AGES),
        ("adolescent", '"12-12"', AGES),
        ("adolescent", '"12"', AGES),
        ("adolescent", '"12 - 18"', AGES),
        ("adolescent", '"012-18"', AGES),
        ("adolescent", '"12-180"', AGES),
        ("adolescent", "12", AGES),
        ("adolescent", "[12, 18]", AGES),
    ],
)
def test_what_is_not_taken(tmp_path: Path, name: str, value: str, expected: str) -> None:
    (tmp_path / "latin-1.txt").write_bytes(b"pat-\xe4\n")
    (tmp_path / "references.txt").write_text("pat-a\nPatient/pat-b\n")
    (tmp_path / "twice.txt").write_text("pat-a\n\npat-a\n")
    _, problem = problems(tmp_path, f"{LEAST}[labels]\n{name} = {value}\n")
    assert f"labels.{name}: {expected}" in problem
