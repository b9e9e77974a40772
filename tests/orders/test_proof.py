"""The badge on an order's page: what somebody with all rights in the database did is seen when the page is."""

import pytest
from django.contrib.auth.models import User

from audit.models import Chain, Entry
from orders import intake, proof, trail
from orders.models import OrderEvent
from tests.orders.factories import ACCOUNT, advance, execute, order_in

pytestmark = pytest.mark.django_db
CHAIN = f"account:{ACCOUNT}"


@pytest.fixture
def order(commit, notary):
    """An order between others, with an answer, signed."""
    order_in("NEW")
    order = execute(order_in("NEW"), quantity=4)
    intake.answer(order.request, status_code=200, body={"permId": order.perm_id}, about=order)
    order_in("NEW")
    commit()
    notary.sign()
    return order


def last_seq(order):
    return Entry.objects.filter(subject=trail.subject(order.pk)).latest("id").seq


def test_what_nobody_touched_is_verified_up_to_its_last_entry(order):
    found = proof.of(order)

    assert (found.standing, found.label) == ("verified", f"Verified up to entry {last_seq(order)}")
    assert f"Its {Entry.objects.filter(subject=trail.subject(order.pk)).count()} entries in {CHAIN}" in found.words


def test_what_came_since_the_checkpoint_is_said_not_to_be_signed(order, commit):
    before = last_seq(order)
    order = advance(order, "STATUS_REPORTED", broker_status="PreSubmitted")
    commit()

    found = proof.of(order)

    assert (found.standing, found.label) == ("verified", f"Verified up to entry {before}")
    assert "1 newer: not signed yet" in found.words


def test_without_a_checkpoint_it_is_not_signed_yet(files, commit):
    order = order_in("NEW")
    commit()

    assert (proof.of(order).standing, proof.of(order).label) == ("unsigned", "Not signed yet")


def test_a_note_that_no_published_key_signed_is_not_believed(order, files):
    (files / "public_keys").unlink()

    assert proof.of(order).standing == "unsigned"


@pytest.mark.parametrize(
    ("case", "statement", "words"),
    [
        (
            "event",
            "UPDATE orders_orderevent SET actor = 'x' WHERE order_id = {order} AND sequence = 2",
            "something else",
        ),
        (
            "event gone",
            "DELETE FROM orders_orderevent WHERE order_id = {order} AND sequence = 2",
            "gone from the record",
        ),
        ("execution", "UPDATE orders_execution SET price = 1 WHERE order_id = {order}", "something else"),
        ("answer", "UPDATE orders_requestanswer SET status_code = 500", "(answer): the record says something else"),
        ("row", "UPDATE orders_order SET filled_quantity = 0 WHERE id = {order}", "filled_quantity is 0"),
        ("terms", "UPDATE orders_order SET symbol = 'MSFT' WHERE id = {order}", "something else"),
        ("text", "UPDATE audit_entry SET body = body || ' ' WHERE id = {entry}", "its text does not have the hash"),
        ("column", "UPDATE audit_entry SET kind = 'login' WHERE id = {entry}", "its columns say something else"),
        ("link", "UPDATE audit_entry SET prev = repeat('1', 64) WHERE id = {entry}", "its columns say"),
        ("entry gone", "DELETE FROM audit_entry WHERE id = {entry}", "it is gone, or"),
        (
            "newer gone",
            "DELETE FROM audit_entry WHERE chain = '{chain}' AND seq > {last}",
            "does not name entry",
        ),
        (
            "head",
            "UPDATE audit_entry SET hash = repeat('1', 64) WHERE chain = '{chain}' AND seq = {size}",
            "not the one",
        ),
        ("note", "UPDATE audit_signedchain SET note = replace(note, 'time 2', 'time 3')", ""),
    ],
)
def test_what_was_done_behind_it_is_seen(order, superuser, case, statement, words):
    entry = Entry.objects.get(kind="order event", record=order.events.get(sequence=2).pk)
    size = Chain.objects.get(pk=CHAIN).size
    superuser(statement.format(order=order.pk, entry=entry.pk, chain=CHAIN, last=last_seq(order), size=size))
    order.refresh_from_db()

    found = proof.of(order)

    if case == "note":
        assert found.standing == "unsigned"
    else:
        assert (found.standing, words in found.words) == ("broken", True), found.words


def test_an_event_behind_the_trail_is_seen(order, superuser):
    superuser(
        "INSERT INTO orders_orderevent (order_id, sequence, kind, to_status, actor, recorded_at, payload, session,"
        " request_id) SELECT order_id, sequence + 1, 'ERROR_REPORTED', to_status, actor, recorded_at, '{}', '', ''"
        " FROM orders_orderevent WHERE order_id = %s ORDER BY sequence DESC LIMIT 1",
        order.pk,
    )

    assert "it is in the record, and the trail has nothing of it" in proof.of(order).words


def test_an_order_older_than_the_trail_is_said_to_be(files, superuser, commit):
    order = order_in("NEW")
    commit()
    superuser("TRUNCATE audit_entry, audit_chain")
    trail.append_opening()
    commit()

    assert proof.of(order).label == "Older than the trail"


def test_a_long_story_costs_what_a_short_one_does(commit, notary, monkeypatch, django_assert_num_queries):
    monkeypatch.setattr(proof, "LOOKED_AT", 5)
    order = order_in("NEW")
    for number in range(12):
        order = advance(order, "STATUS_REPORTED", broker_status=f"word {number}")
    commit()
    notary.sign()
    assert OrderEvent.objects.filter(order=order).count() > 10

    with django_assert_num_queries(7):
        found = proof.of(order)

    assert found.standing == "verified"
    assert "The latest 5 entries were looked at." in found.words


def test_the_page_shows_the_badge_and_an_alarm_when_it_is_broken(order, superuser, client):
    client.force_login(User.objects.create(username="reviewer", is_staff=True, is_superuser=True))
    path = f"/admin/orders/order/{order.pk}/change/"
    assert f'<span class="badge badge-verified">Verified up to entry {last_seq(order)}</span>' in page(client, path)

    superuser("UPDATE orders_orderevent SET actor = 'x' WHERE order_id = %s AND sequence = 2", order.pk)

    text = page(client, path)
    assert '<span class="badge badge-broken">Broken</span>' in text
    assert '<p class="alarm" role="alert">At entry' in text


def page(client, path):
    return client.get(path).content.decode()
