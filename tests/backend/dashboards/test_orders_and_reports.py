"""Orders from hand to hand, and what patients report, over HTTP."""

from datetime import timedelta
from decimal import Decimal
from uuid import uuid4

import httpx
from sqlmodel import col, select

from backend.alerts.reconsider import warn_short
from backend.audit.record import SYSTEM
from backend.database import transaction
from backend.database.sets import execute
from backend.doses.tables import DoseEvent
from backend.feeds.append import append
from backend.feeds.orders import publish
from backend.ingest.correct import void_dose
from backend.people.readers import Reader
from backend.supply.reorder import review, step
from backend.supply.tables import Reorder, ReorderEvent, Stock
from backend.supply.use import dispense
from tests.backend.dashboards.clinic import Clinic, an_order, next_in, signed_in


def test_an_order_goes_from_maker_to_patient_each_step_by_whose_it_is(
    web: httpx.Client, clinic: Clinic
) -> None:
    with transaction() as session:
        order_id = an_order(session, clinic)
    move = f"/orders/{order_id}/move"
    own = f"/patients/{clinic.patient_id}"
    with (
        signed_in(web, clinic.maker) as maker,
        signed_in(web, clinic.clinician) as clinician,
        signed_in(web, clinic.patient) as patient,
    ):
        page = maker.get("/orders").text
        assert "Exemplin 5 mg" in page
        assert "Keller" not in page
        assert str(clinic.patient_id) not in page
        assert maker.submit("/orders", move, state="delivered").status_code == 403
        assert patient.submit("/today", move, state="shipped").status_code == 403
        assert clinician.submit(own, move, state="shipped").status_code == 403
        assert maker.submit("/orders", move, state="acknowledged").status_code == 200
        assert maker.submit("/orders", move, state="shipped").status_code == 200
        feed = maker.get("/feed").text
        assert "shipped: 2 packs of Exemplin 5 mg" in feed
        assert "It has arrived" in patient.get("/today").text
        assert patient.submit("/today", move, state="delivered").status_code == 200
        assert "delivered: 2 packs" in maker.get("/feed").text
    with transaction() as session:
        assert session.exec(select(Reorder.state)).all() == ["delivered"]
        assert session.exec(select(Stock)).one().on_hand == 60


def test_a_proposed_order_waits_for_the_clinic_and_is_unknown_to_the_maker(
    web: httpx.Client, clinic: Clinic
) -> None:
    with transaction() as session:
        order_id = an_order(session, clinic, "proposed")
    move, own = f"/orders/{order_id}/move", f"/patients/{clinic.patient_id}"
    with (
        signed_in(web, clinic.maker) as maker,
        signed_in(web, clinic.clinician) as clinician,
    ):
        assert "Exemplin" not in maker.get("/orders").text
        assert maker.submit("/orders", move, state="acknowledged").status_code == 404
        assert clinician.submit(own, move, state="placed").status_code == 200
        assert "Exemplin" in maker.get("/orders").text


def test_a_proposal_that_is_cancelled_stays_unknown_to_the_maker(
    web: httpx.Client, clinic: Clinic
) -> None:
    with transaction() as session:
        order_id = an_order(session, clinic, "proposed")
    move, own = f"/orders/{order_id}/move", f"/patients/{clinic.patient_id}"
    with (
        signed_in(web, clinic.maker) as maker,
        signed_in(web, clinic.clinician) as clinician,
    ):
        assert clinician.submit(own, move, state="cancelled").status_code == 200
        assert "Exemplin" not in maker.get("/orders?show=done").text
        assert "Exemplin" not in maker.get("/feed").text


def test_what_is_lost_on_its_way_is_cancelled_by_the_clinic_and_ordered_anew(
    web: httpx.Client, clinic: Clinic
) -> None:
    with transaction() as session:
        whose = clinic.patient_id, clinic.world.product.gtin
        now = clinic.now
        dispense(session, *whose, Decimal(2), cause="start", at=now, now=now)
        [order] = review(session, [whose], now=now)
        publish(session, order, now=now)
        shipped = step(
            session, whose[0], order.reorder_id, "shipped", actor=SYSTEM, now=now
        )
        publish(session, shipped, now=now)
        move, own = f"/orders/{order.reorder_id}/move", f"/patients/{clinic.patient_id}"
    with (
        signed_in(web, clinic.maker) as maker,
        signed_in(web, clinic.clinician) as clinician,
        signed_in(web, clinic.patient) as patient,
    ):
        assert "Lost on its way" not in patient.get("/today").text
        assert patient.submit("/today", move, state="cancelled").status_code == 403
        assert maker.submit("/orders", move, state="cancelled").status_code == 403
        assert "Lost on its way" in clinician.get(own).text
        assert clinician.submit(own, move, state="cancelled").status_code == 200
        feed = maker.get("/feed").text
        assert feed.index("placed: 2 packs") < feed.index("cancelled: 2 packs")
    with transaction() as session:
        states = session.exec(select(Reorder.state).order_by(col(Reorder.opened_at)))
        assert states.all() == ["cancelled", "placed"]
        assert session.exec(select(Stock)).one().on_hand == 2


def test_a_clinician_who_cancelled_can_order_again_and_nobody_else_can(
    web: httpx.Client, clinic: Clinic
) -> None:
    with transaction() as session:
        gtin, now = clinic.world.product.gtin, clinic.now
        whose = clinic.patient_id, gtin
        dispense(session, *whose, Decimal(2), cause="start", at=now, now=now)
        execute(session, "UPDATE stock SET run_out_on = :day", day=now.date())
        order_id = an_order(session, clinic)
    move, own = f"/orders/{order_id}/move", f"/patients/{clinic.patient_id}"
    with (
        signed_in(web, clinic.maker) as maker,
        signed_in(web, clinic.clinician) as clinician,
        signed_in(web, clinic.patient) as patient,
    ):
        assert "Order again" not in clinician.get(own).text
        clinician.submit(own, move, state="cancelled")
        with transaction() as session:
            warn_short(session, {whose: now}, now=now)
        assert "the last order was cancelled" in clinician.get(own).text
        assert "Order again" in clinician.get(own).text
        assert "Order again" not in patient.get("/today").text
        assert patient.submit("/today", move, state="again").status_code == 403
        assert clinician.submit(own, move, state="again").status_code == 200
        assert "placed: 2 packs" in maker.get("/feed").text
        page = clinician.get(own).text
        assert "Order again" not in page
        assert "the last order was cancelled" not in page
        assert clinician.submit(own, move, state="again").status_code == 409
    with transaction() as session:
        found = session.exec(select(Reorder.state).order_by(col(Reorder.opened_at)))
        assert found.all() == ["cancelled", "placed"]
        asked = select(ReorderEvent.actor_kind).where(ReorderEvent.state == "placed")
        assert session.exec(asked).all() == ["clinician"]


def test_the_feed_page_shows_an_order_called_off_of_which_no_more_may_be_said(
    web: httpx.Client, clinic: Clinic
) -> None:
    to = clinic.world.manufacturer.organization_id
    body = {"reorder_id": "12345678-0000", "state": "cancelled"}
    with transaction() as session:
        append(session, "reorders", to, "1", body, now=clinic.now)
    with signed_in(web, clinic.maker) as browser:
        page = browser.get("/feed").text
    assert '<p class="card-title">Order 12345678 cancelled</p>' in page


def test_the_feed_page_goes_back_by_cursor_and_names_no_one_elses_rows(
    web: httpx.Client, clinic: Clinic
) -> None:
    world = clinic.world
    with transaction() as session:
        for n in range(3):
            body = {
                "reorder_id": f"{n}2345678-0000",
                "state": "placed",
                "packs": 1,
                "product": f"Drug {n}",
            }
            to = world.manufacturer.organization_id if n else uuid4()
            append(session, "reorders", to, str(n), body, now=clinic.now)
    with signed_in(web, clinic.maker) as browser:
        page = browser.get("/feed?limit=1").text
        assert "Drug 2" in page
        following = next_in(page)
        assert following
        rest = browser.get(following).text
    assert "Drug 1" in rest
    assert "Drug 0" not in page + rest


def test_a_patient_reports_a_dose_once_however_often_they_press(
    web: httpx.Client, clinic: Clinic
) -> None:
    due = clinic.now - timedelta(hours=2)
    form = {
        "regimen": clinic.world.regimen.regimen_id,
        "occurrence": f"{due:%Y-%m-%dT%H:%M}",
        "when": "due",
    }
    with signed_in(web, clinic.patient) as browser:
        first, second = (
            browser.submit("/today", "/today/report", **form) for _ in range(2)
        )
        assert "Your dose is recorded." in first.text
        assert "said so" in second.text
        nonsense = browser.submit(
            "/today", "/today/report", **form | {"occurrence": "never"}
        )
        assert nonsense.status_code == 404
    with transaction() as session:
        event = session.exec(select(DoseEvent)).one()
    assert (event.evidence, event.occurred_at) == ("self_reported", due)


def a_form(clinic: Clinic, hours: int) -> dict[str, object]:
    due = clinic.now - timedelta(hours=hours)
    return {
        "regimen": clinic.world.regimen.regimen_id,
        "occurrence": f"{due:%Y-%m-%dT%H:%M}",
    }


def test_who_pressed_the_wrong_button_can_still_press_the_right_one(
    web: httpx.Client, clinic: Clinic
) -> None:
    form = a_form(clinic, 26)  # its window closed long ago
    with signed_in(web, clinic.patient) as browser:
        wrong, again, right = (
            browser.submit("/today", "/today/report", when=when, **form).text
            for when in ("now", "now", "due")
        )

    assert "What you said is recorded. It does not count for this dose." in wrong
    assert "You have said so before. It does not count for this dose." in again
    assert "Your dose is recorded." in right
    with transaction() as session:
        said = session.exec(select(DoseEvent.occurred_at)).all()
    assert min(said) == clinic.now - timedelta(hours=26)
    assert len(said) == 2


def test_a_dose_whose_report_was_declared_void_can_be_reported_again(
    web: httpx.Client, clinic: Clinic
) -> None:
    form = a_form(clinic, 2) | {"when": "due"}
    reader = Reader(
        uuid4(),
        "clinician",
        clinic.world.clinician.clinician_id,
        clinic.world.clinic.clinic_id,
    )
    with signed_in(web, clinic.patient) as browser:
        for _ in range(2):
            page = browser.submit("/today", "/today/report", **form).text
            assert "Your dose is recorded." in page
            with transaction() as session:
                [event] = session.exec(
                    select(DoseEvent).where(col(DoseEvent.voided_at).is_(None))
                )
                void_dose(
                    session, reader, event.dose_event_id, reason="no", now=clinic.now
                )
    with transaction() as session:
        assert len(session.exec(select(DoseEvent)).all()) == 2
