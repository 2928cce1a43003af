"""Which relatives were ever given an authority for a patient."""

from __future__ import annotations

from gateway.auth.people.agreeing import relatives_of
from gateway.auth.people.registry import Profile
from gateway.consents.intake import Authority
from gateway.core.values import Ref
from tests.auth.site import PASSWORD, START_S, Site

DAY_S = 86_400


async def test_only_relatives_and_only_the_patient_s(site: Site) -> None:
    for login, kind in (("mum", "RelatedPerson"), ("nurse", "Practitioner")):
        await site.people.add(Profile(login, login, Ref(kind, f"{login}-1")), PASSWORD, site.now_s)
        await site.authorities.allow(login, "child-1", "MTH", START_S + DAY_S, "operator", START_S)
    ended = await site.authorities.allow("mum", "child-2", "MTH", START_S + DAY_S, "operator", START_S)
    await site.authorities.end_authority(ended.id, START_S + 60)

    assert await relatives_of(site.database, "child-1") == [Authority("mum-1", START_S, START_S + DAY_S)]
    over = Authority("mum-1", START_S, START_S + DAY_S, START_S + 60)
    assert await relatives_of(site.database, "child-2") == [over]
    assert await relatives_of(site.database, "child-3") == []


def test_an_authority_holds_from_its_first_second_until_its_last_or_its_end() -> None:
    whole = [Authority("mum-1", 10, 100).holds(at_s) for at_s in (9, 10, 100, 101)]
    assert whole == [False, True, True, False]
    assert [Authority("mum-1", 10, 100, 50).holds(at_s) for at_s in (49, 50)] == [True, False]
