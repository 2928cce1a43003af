"""Security labels of records and of rules, and which way they reach.

Confidentiality is an order, U < L < M < N < R < V: a denied level reaches everything at or above it, a
permitted one everything at or below. Sensitivities are a hierarchy: a deny reaches any label at or below
its code, a permit only what has nothing outside its codes. A record is at least R when it carries a
sensitivity, or any label that is not known here, and V under a legal hold or where somebody was abused;
without labels it is N. A label that is not clear, such as `hiv` of HL7's own system, may be any: a deny that
names a sensitivity reaches it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from gateway.core.consent.hierarchy import Hierarchy
from gateway.core.values import Label

CONFIDENTIALITY: Final = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"
ACT_CODE: Final = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
LEVELS: Final = "ULMNRV"
NORMAL: Final = LEVELS.index("N")
RESTRICTED: Final = LEVELS.index("R")
LEGAL_HOLD: Final = "LEGALHOLD"
"""A court keeps the record closed. Our own, in the place of a code of v3-ActCode: HL7 has none."""
VERY: Final = frozenset({LEGAL_HOLD, "SDV", "VIO"})
"""Sensitivities that make a record very restricted: legal hold, a risk of abuse or stalking (HL7 DS4P)."""
_KNOWN: Final = frozenset({CONFIDENTIALITY, ACT_CODE})
_KEPT: Final = 1024  # rules and sets of labels remembered; there are few of them


@dataclass(frozen=True, slots=True)
class Marks:
    """A record's labels, understood: its level, its sensitivities, and every label in canonical form.
    `said` is the level but for what the sensitivities make of it. `foreign` are the labels that are not known
    here, `unclear` those of them that may be misspelt ones of HL7's systems, or newer than the tables."""

    level: int
    said: int
    sensitivities: frozenset[str]
    all: frozenset[Label]
    foreign: frozenset[Label]
    unclear: frozenset[Label]


@dataclass(frozen=True, slots=True)
class LabelRule:
    """The labels of a rule: levels as given, sensitivities closed downwards, others by themselves."""

    levels: tuple[int, ...]
    sensitivities: frozenset[str]
    others: frozenset[Label]

    def denies(self, marks: Marks) -> bool:
        if self.levels and marks.level >= min(self.levels):
            return True
        if self.sensitivities & marks.sensitivities or self.others & marks.all:
            return True
        if marks.unclear and (self.sensitivities or any(other.system in _KNOWN for other in self.others)):
            return True
        return any(self._may_mean(label) for label in marks.foreign)

    def permits(self, marks: Marks) -> bool:
        ceiling = max(self.levels, default=None)
        if not self.sensitivities and not self.others:
            return ceiling is None or marks.level <= ceiling
        if not (marks.sensitivities <= self.sensitivities and marks.foreign <= self.others):
            return False
        if ceiling is not None and marks.level <= ceiling:
            return True
        # What brings the record to its level is covered by name; a level above R that it says is not.
        named = bool(marks.sensitivities) or bool(marks.all & self.others)
        return named and (ceiling is None or marks.said <= RESTRICTED)

    def covers(self, other: LabelRule) -> bool:
        """Whether, as a deny, it reaches every record that `other` permits."""
        if min(self.levels, default=NORMAL) == 0:
            return True
        narrower = other.sensitivities <= self.sensitivities and other.others <= self.others
        return narrower and not other.levels

    def _may_mean(self, label: Label) -> bool:
        # Without a known system the code may still be the one denied; without a code it may be any.
        code = _folded(label)
        if not code or code in self.sensitivities:
            return True
        return any(label.system in ("", other.system) and code == _folded(other) for other in self.others)


class LabelOrder:
    """`sensitivities` are codes of v3-ActCode; `handling` labels ask for care and restrict nothing here;
    `aliases` are other spellings of systems."""

    def __init__(
        self,
        sensitivities: Hierarchy,
        handling: Iterable[Label] = (),
        aliases: Mapping[str, str] | None = None,
    ) -> None:
        self._sensitivities = sensitivities
        self._handling = frozenset(handling)
        self._aliases = dict(aliases or {})
        self._rules: dict[frozenset[str], LabelRule] = {}
        self._marks: dict[frozenset[Label], Marks] = {}

    def marks(self, labels: Iterable[Label]) -> Marks:
        """What the labels of a record say."""
        given = frozenset(labels)
        marks = self._marks.get(given)
        if marks is None:
            if len(self._marks) >= _KEPT:
                self._marks.clear()
            marks = self._marks[given] = self._read(given)
        return marks

    def rule(self, texts: Iterable[str]) -> LabelRule | None:
        """The labels that a rule names as `code` or `system|code`; None when it names none."""
        wanted = frozenset(texts)
        if not wanted:
            return None
        rule = self._rules.get(wanted)
        if rule is None:
            if len(self._rules) >= _KEPT:
                self._rules.clear()
            rule = self._rules[wanted] = self._rule(wanted)
        return rule

    def _read(self, labels: frozenset[Label]) -> Marks:
        canonical = frozenset(self._canonical(label) for label in labels)
        levels = [LEVELS.index(label.code) for label in canonical if _is_level(label)]
        sensitive = frozenset(label.code for label in canonical if self._is_sensitivity(label))
        foreign = frozenset(label for label in canonical if not self._is_known(label))
        unclear = frozenset(label for label in foreign if self._is_unclear(label))
        levels += [_may_be_level(label) for label in foreign]
        said = max(levels, default=NORMAL)
        if sensitive:
            levels.append(LEVELS.index("V") if sensitive & VERY else RESTRICTED)
        return Marks(max(levels, default=NORMAL), said, sensitive, canonical, foreign, unclear)

    def _rule(self, texts: frozenset[str]) -> LabelRule:
        named = [self.named(text) for text in texts]
        return LabelRule(
            levels=tuple(sorted(LEVELS.index(label.code) for label in named if _is_level(label))),
            sensitivities=self._sensitivities.below_any(
                label.code for label in named if self._is_sensitivity(label)
            ),
            others=frozenset(
                label for label in named if not _is_level(label) and not self._is_sensitivity(label)
            ),
        )

    def named(self, text: str) -> Label:
        """The label that a consent means; a bare code is a level or a code of v3-ActCode."""
        system, bar, code = text.rpartition("|")
        if bar:
            return self._canonical(Label(system, code))
        return Label(CONFIDENTIALITY if len(text) == 1 and text in LEVELS else ACT_CODE, text)

    def knows(self, text: str) -> bool:
        """Whether a consent can name `text` and be sure to be understood: of HL7's two systems only the
        codes known here, of another system any code, to the letter."""
        label = self.named(text)
        return self._is_known(label) or label.system not in _KNOWN

    def is_own(self, system: str) -> bool:
        """Whether it is one of HL7's systems of labels, in any spelling."""
        return self._aliases.get(system, system) in _KNOWN

    def is_level(self, label: Label) -> bool:
        """Whether the label is a level of confidentiality and nothing else."""
        return _is_level(self._canonical(label))

    def _canonical(self, label: Label) -> Label:
        system = self._aliases.get(label.system)
        return label if system is None else Label(system, label.code)

    def _is_sensitivity(self, label: Label) -> bool:
        return label.system == ACT_CODE and label.code in self._sensitivities.codes

    def _is_known(self, label: Label) -> bool:
        return _is_level(label) or self._is_sensitivity(label) or label in self._handling

    def _is_unclear(self, label: Label) -> bool:
        """Whether a label that is not known may be any of HL7's: one of their systems, or one without a
        system whose code is in none of the tables."""
        if label.system in _KNOWN:
            return True
        return not label.system and not any(
            self._is_known(Label(system, _folded(label))) for system in _KNOWN
        )


def _is_level(label: Label) -> bool:
    return label.system == CONFIDENTIALITY and len(label.code) == 1 and label.code in LEVELS


def _may_be_level(label: Label) -> int:
    """The level that a label which is not known counts as, R at least."""
    code = _folded(label)
    if not code or label.system == CONFIDENTIALITY:
        return LEVELS.index("V")
    return max(RESTRICTED, LEVELS.index(code)) if _is_level(Label(CONFIDENTIALITY, code)) else RESTRICTED


def _folded(label: Label) -> str:
    """The code as it may have been meant: without white space around, in capitals like HL7's own."""
    return label.code.strip().upper()


# --- HL7's tables: hl7.terminology 5.1.0, CodeSystem v3-ActCode 8.0.0 (CC0) -------------------------

_STAND_ALONE = (
    "GDIS HIV MST PREGNANT SDV SEX STD TBOO VIO IDS DEMO DOB GENDER LIVARG MARST PATLOC RACE REL "
    "B EMPL LOCIS SSP ADOL CEL VIP DIA DRGIS EMP PDS PHY PRS "
    # A law that restricts what it is about, and our own word for a legal hold.
    "42CFRPart2 LEGALHOLD"
)
SENSITIVITIES: Final = Hierarchy(
    {
        "SPI": ("BH", "MH", "PSY", "PSYTHPN", "SUD"),
        # IHE PCF names PSY where HL7's wider MH is found: who keeps one apart keeps both.
        "MH": ("PSY", "PSYTHPN"),
        "PSY": ("MH",),
        "BH": ("COGN", "DVD", "EMOTDIS"),
        # IHE PCF hangs ETHUD and OPIOIDUD under ETH, HL7 under SUD: the two are read as one.
        "SUD": ("ETHUD", "OPIOIDUD", "ETH"),
        "ETH": ("SUD",),
        # SICKLE is the retired spelling of SCA.
        "SCA": ("SICKLE",),
        "SICKLE": ("SCA",),
        **dict.fromkeys(_STAND_ALONE.split(), ()),
    }
)
_OBLIGATIONS = (
    "ANONY AOD AUDIT AUDTR CPLYPOL CPLYCC CPLYCD CPLYCUI CPLYJPP CPLYJSP CPLYOPP CPLYOSP DECLASSIFYLABEL "
    "DEID DELAU DOWNGRDLABEL DRIVLABEL ENCRYPT ENCRYPTR ENCRYPTT ENCRYPTU HUAPRV LABEL MASK MINEC "
    "PERSISTLABEL PRIVMARK PSEUD REDACT UPGRDLABEL PROCESSINLINELABEL "
    "NODSCLCD NODSCLCDS NORDSCLCD NORDSCLCDS NORDSLCD RedisclosureProhibitionMark"
)
_INTEGRITY = "ABSTRED AGGRED ANONYED MAPPED MASKED PSEUDED REDACTED SUBSETTED SYNTAC TRSLT VERSIONED"
HANDLING: Final = frozenset(
    {Label(ACT_CODE, code) for code in _OBLIGATIONS.split()}
    # They keep a record from payers or from the patient alone, which no consent has to say.
    | {Label(ACT_CODE, code) for code in ("HIPAASelfPay", "NOPAT")}
    | {
        Label("http://terminology.hl7.org/CodeSystem/v3-ObservationValue", code)
        for code in _INTEGRITY.split()
    }
    | {Label("http://terminology.hl7.org/CodeSystem/v3-ActReason", "HTEST")}
)
ALIASES: Final[Mapping[str, str]] = {
    "http://hl7.org/fhir/v3/Confidentiality": CONFIDENTIALITY,
    "urn:oid:2.16.840.1.113883.5.25": CONFIDENTIALITY,
    "http://hl7.org/fhir/v3/ActCode": ACT_CODE,
    "urn:oid:2.16.840.1.113883.5.4": ACT_CODE,
    # A value set in the place of its code system, as public Consent examples have it.
    "http://terminology.hl7.org/ValueSet/v3-InformationSensitivityPolicy": ACT_CODE,
}
LABELS: Final = LabelOrder(SENSITIVITIES, HANDLING, ALIASES)
