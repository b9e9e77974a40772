"""What must be true after any fault: ledger, database and clients' answers, held against each other.

Rules
1. The ledger is the truth about the broker. A leg that the gateway only held (transmit=False, never transmitted) was
   never at the broker.
2. Answers are matched by the reference that the client chose, so a database that lies is found out too.
3. All broken invariants are reported together, each with its number in the list of docs/reliability.md.
"""

import re
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import product

from orders import events, lifecycle
from orders.stamps import split
from tests.faults import record
from tests.faults.client import Exchange
from tests.faults.house import CLIENT_ID, OURS, Run
from tests.faults.proxy import TO_GATEWAY

REST_SECONDS = 60.0
SERVED_LATE_SECONDS = 3.0  # the request of a client that hung up may be served when the web process goes on
STAMP_MARK = "~"
TYPES = {"LIMIT": "LMT", "MARKET": "MKT", "STOP": "STP"}
ENDED = {"Filled": {"FILLED"}, "Cancelled": {"CANCELED", "REJECTED"}, "Inactive": {"REJECTED", "CANCELED"}}
UNSETTLED = ("RECEIVED", "PENDING_NEW")
FINAL = {"DENIED", "FILLED", "CANCELED", "REJECTED", "EXPIRED", "NOT_PLACED"}

ORDERS = "SELECT * FROM orders_order WHERE id > %s ORDER BY id"
EVENTS = "SELECT * FROM orders_orderevent WHERE order_id > %s ORDER BY order_id, sequence"
REQUESTS = "SELECT * FROM orders_orderrequest WHERE id IN (SELECT request_id FROM orders_order WHERE id > %s)"


class Broken(AssertionError):
    """Invariants that do not hold."""


def check(run: Run, *, doubt: bool = False, rest_seconds: float = REST_SECONDS) -> "Findings":
    """Wait until nothing moves any more, then look at everything. `doubt`: the case may leave orders IN_DOUBT."""
    waited = wait_for_rest(run, seconds=rest_seconds, doubt=doubt)
    found = Findings(run, doubt=doubt)
    problems = list(found.problems())
    if waited:
        problems.insert(0, waited)
    if problems:
        raise Broken("\n".join(problems))
    return found


def wait_for_rest(run: Run, *, seconds: float, doubt: bool) -> str:
    """Wait until no order is on its way and the record agrees with the ledger; what is still open when time is up."""
    deadline = time.monotonic() + seconds
    still_seconds = SERVED_LATE_SECONDS if any(exchange.said == "silence" for exchange in run.client.exchanges) else 0.0
    known, still_since = 0, time.monotonic()
    while True:
        orders = run.house.rows(ORDERS, run.orders_from)
        if len(orders) != known:
            known, still_since = len(orders), time.monotonic()
        still = time.monotonic() - still_since >= still_seconds
        moving = [f"{o['id']} {o['status']}" for o in orders if o["status"] in (*UNSETTLED, "PENDING_CANCEL")]
        # An order in doubt may only be on its way to an answer.
        doubtful = [o for o in orders if o["status"] == "IN_DOUBT" and not doubt]
        if still and not moving and not doubtful and not list(Findings(run, doubt=True).unconverged()):
            return ""
        if time.monotonic() > deadline:
            return f"I5: still {', '.join(moving)} after {seconds:g} s" if moving else ""
        time.sleep(0.2)


class Findings:
    """Everything that one run left behind, and what is wrong with it."""

    def __init__(self, run: Run, *, doubt: bool) -> None:
        self.run = run
        self.house = run.house
        self.doubt = doubt
        self.whole_ledger = run.house.ledger()
        ledger = self.whole_ledger[run.ledger_from :]
        self.placements = [line for line in ledger if _is_placement_of_ours(line)]
        self.transmitted = {line["permId"] for line in ledger if line["kind"] == "transmitted"}
        self.ended = {line["permId"]: line for line in ledger if line["kind"] == "ended"}
        self.executions = [line for line in ledger if line["kind"] == "execution" and line["clientId"] == CLIENT_ID]
        seen = run.house.at_one_moment(ORDERS, EVENTS, REQUESTS, after=run.orders_from)
        self.orders, self.events = seen[:2]
        self.requests = {row["id"]: row for row in seen[2]}
        self.by_stamp = {order["stamp"]: order for order in self.orders if order["stamp"]}
        self.at_broker = [line for line in self.placements if line["accepted"] and self._reached(line)]
        # Of many thousand orders, each is looked up and not looked for.
        self.of_stamp, self.of_ref = _by(_stamp, self.at_broker), _by(_ref, self.at_broker)

    def _reached(self, placement: dict) -> bool:
        return not placement["held"] or placement["permId"] in self.transmitted

    def statuses(self) -> list[str]:
        return [order["status"] for order in self.orders if order["request_id"]]

    def problems(self) -> Iterator[str]:
        for look in (
            self._once,
            self._as_claimed,
            self._placed_is_placed,
            self._not_placed_is_not_placed,
            self._nothing_pending,
            self._doubt_only_where_allowed,
            self._every_fill_once,
            self.unconverged,
            self._ids_ascend,
            self._claimed_before_received,
            self._one_session,
            self._paced,
            self._in_time,
            self._brackets_whole,
            self._cancelled_is_true,
            self._trail_intact,
            self._one_event_per_change,
            self._one_key_one_order,
            self._halted_is_halted,
            self._only_allowed_accounts,
            self._positions_add_up,
            self._no_secret,
        ):
            yield from look()

    def _once(self) -> Iterator[str]:
        for stamp, lines in self.of_stamp.items():
            if len(lines) > 1:
                yield f"I1: stamp {stamp} was accepted {len(lines)} times"
        for exchange in self._distinct_placements():
            found = self.of_ref[exchange.ref]
            if len(found) > exchange.legs:
                yield f"I1: {exchange.path} {exchange.ref} led to {len(found)} orders at the broker"

    def _as_claimed(self) -> Iterator[str]:
        for line in self.placements:
            order = self.by_stamp.get(_stamp(line))
            if order is None:
                yield f"I2: the gateway received stamp {_stamp(line)}, which no row has"
                continue
            expected = {
                "symbol": order["symbol"],
                "side": order["side"],
                "type": TYPES.get(order["order_type"], order["order_type"]),
                "quantity": order["quantity"],
                "account": order["account_id"],
                "tif": order["time_in_force"],
                "orderId": order["broker_order_id"],
                "clientId": order["client_id"],
            }
            if order["order_type"] == "LIMIT":
                expected["limitPrice"] = order["limit_price"]
            if order["order_type"] == "STOP":
                expected["stopPrice"] = order["stop_price"]
            wrong = {name: (line[name], want) for name, want in expected.items() if not _same(line[name], want)}
            if wrong:
                yield f"I2: order {order['id']} differs from what the gateway received: {wrong}"
            parent = self._entry_of(order)
            if parent is not None and line["parentId"] != parent["broker_order_id"]:
                yield f"I2: order {order['id']} has parent {line['parentId']}, its entry is {parent['broker_order_id']}"

    def _placed_is_placed(self) -> Iterator[str]:
        accepted = _by(_ref, [line for line in self.placements if line["accepted"]])
        for exchange in self.run.client.exchanges:
            if exchange.said != "placed":
                continue
            there = {line["permId"] for line in accepted[exchange.ref]}
            if set(exchange.perm_ids) != there or len(exchange.perm_ids) != exchange.legs:
                yield f"I3: {exchange.ref} was answered placed as {exchange.perm_ids}; the gateway has {sorted(there)}"

    def _not_placed_is_not_placed(self) -> Iterator[str]:
        given_up = {event["order_id"] for event in self.events if event["to_status"] == "NOT_PLACED"}
        for order in self.orders:
            there = self.of_stamp[order["stamp"]]
            if order["id"] in given_up and there:
                yield f"I4: order {order['id']} was marked NOT_PLACED and the gateway has it as {there[0]['permId']}"
        for exchange in self._distinct_placements():
            if exchange.said != "not placed":
                continue
            # A refusal of the broker may follow an acceptance: then the ledger says how the order ended.
            alive = [line for line in self.of_ref[exchange.ref] if not self._ended_unfilled(line)]
            if alive:
                yield f"I4: {exchange.ref} was answered {exchange.answer} and the gateway has {alive[0]['permId']}"

    def _ended_unfilled(self, placement: dict) -> bool:
        end = self.ended.get(placement["permId"])
        return end is not None and Decimal(end["filled"]) == 0

    def _nothing_pending(self) -> Iterator[str]:
        for order in self.orders:
            if order["status"] in UNSETTLED:
                yield f"I5: order {order['id']} is still {order['status']}"

    def _doubt_only_where_allowed(self) -> Iterator[str]:
        doubtful = [order["id"] for order in self.orders if order["status"] == "IN_DOUBT"]
        if doubtful and not self.doubt:
            why = {e["order_id"]: e["payload"]["doubts"] for e in self.events if e["kind"] == "STILL_IN_DOUBT"}
            yield f"I6: orders {doubtful} are IN_DOUBT, which this case does not allow: {why}"
        for pk in doubtful:
            raised = "SELECT id FROM alarms_alarm WHERE kind = 'IN_DOUBT' AND subject = %s AND cleared_at IS NULL"
            if not self.house.rows(raised, f"order:{pk}"):
                yield f"I6: order {pk} is IN_DOUBT and no alarm is open"

    def _every_fill_once(self) -> Iterator[str]:
        rows = self.house.rows(
            "SELECT e.*, (SELECT c.amount FROM orders_commission c WHERE c.exec_id = e.exec_id ORDER BY c.id DESC"
            " LIMIT 1) AS commission FROM orders_execution e WHERE client_id = %s AND exec_id = ANY(%s)",
            CLIENT_ID,
            [line["execId"] for line in self.executions],
        )
        stored = {row["exec_id"]: row for row in rows}
        for line in self.executions:
            row = stored.get(line["execId"])
            if row is None:
                yield f"I7: execution {line['execId']} of {line['orderRef']} is not stored"
                continue
            for ours, theirs in (("quantity", "quantity"), ("price", "price"), ("commission", "commission")):
                if not _same(line[theirs], row[ours]):
                    yield f"I7: execution {line['execId']}: {ours} {row[ours]}, the gateway says {line[theirs]}"
            order = self.by_stamp.get(_stamp(line))
            if order is not None and row["order_id"] != order["id"]:
                yield f"I8: execution {line['execId']} belongs to order {order['id']}, not {row['order_id']}"

    def unconverged(self) -> Iterator[str]:
        """I9: what the record says of each order, against the ledger."""
        filled: defaultdict[str | None, Decimal] = defaultdict(Decimal)
        for line in self.executions:
            filled[_stamp(line)] += Decimal(line["quantity"])
        there = {_stamp(line): line for line in self.at_broker}
        for order in self.orders:
            if order["stamp"] is None or order["status"] == "IN_DOUBT":
                continue
            line = there.get(order["stamp"])
            if line is None:
                if order["status"] not in FINAL:
                    yield f"I9: order {order['id']} is {order['status']} and the gateway does not have it"
                continue
            end = self.ended.get(line["permId"])
            name = f"order {order['id']} ({line['permId']})"
            if order["filled_quantity"] != filled[order["stamp"]]:
                yield f"I9: {name} has {order['filled_quantity']} filled, the gateway {filled[order['stamp']]}"
            if end is None and order["status"] in FINAL:
                yield f"I9: {name} is {order['status']} and works at the gateway"
            if end is not None and order["status"] not in ENDED.get(end["status"], {end["status"]}):
                yield f"I9: {name} is {order['status']}, at the gateway it ended {end['status']}"
            if order["status"] != "NOT_PLACED" and order["perm_id"] != line["permId"]:
                yield f"I9: {name} is known as {order['perm_id']}"

    def _ids_ascend(self) -> Iterator[str]:
        earlier = self.whole_ledger[: self.run.ledger_from]
        last = max((line["orderId"] for line in earlier if _is_placement_of_ours(line)), default=0)
        for line in self.placements:
            if line["orderId"] <= last:
                yield f"I10: order id {line['orderId']} was received after {last}"
            last = max(last, line["orderId"])

    def _claimed_before_received(self) -> Iterator[str]:
        sent = {event["order_id"]: event for event in self.events if event["kind"] == "SENT"}
        for line in self.placements:
            order = self.by_stamp.get(_stamp(line))
            if order is None:
                continue  # told as I2
            event = sent.get(order["id"])
            if event is None:
                yield f"I11: order {order['id']} was received by the gateway and has no `sent`"
            elif event["recorded_at"] - self.house.database_ahead > _time(line):
                yield f"I11: the claim of order {order['id']} was recorded after the gateway received it"

    def _one_session(self) -> Iterator[str]:
        open_session: int | None = None
        for number, line in enumerate(self.whole_ledger):
            kind = line["kind"]
            if kind in ("start", "stop"):
                open_session = None
            elif kind == "session_open" and line["clientId"] == CLIENT_ID:
                if open_session is not None and number >= self.run.ledger_from:
                    yield f"I12: session {line['session']} was opened while {open_session} was open"
                open_session = line["session"]
            elif kind == "session_close" and line["session"] == open_session:
                open_session = None
        senders: defaultdict[str, set[int]] = defaultdict(set)
        claims = {event["order_id"]: event["session"] for event in self.events if event["kind"] == "SENT"}
        for line in self.placements:
            order = self.by_stamp.get(_stamp(line))
            if order is not None and order["id"] in claims:
                senders[claims[order["id"]]].add(line["session"])
        for session, numbers in senders.items():
            if len(numbers) > 1:
                yield f"I12: what {session} claimed was sent in the gateway's sessions {sorted(numbers)}"

    def _paced(self) -> Iterator[str]:
        for when, text in self.house.proxy.complaints:
            if when >= self.run.began:
                yield f"I13: the gateway said: {text}"
        sent: defaultdict[int, list[float]] = defaultdict(list)
        for when, direction, talk in self.house.proxy.frames:
            if direction == TO_GATEWAY and when >= self.run.began:
                sent[talk].append(when)
        for talk, times in sent.items():
            for start, end in zip(times, times[50:], strict=False):
                if end - start < 0.9:  # messages bunch up on their way
                    yield f"I13: 51 messages within {end - start:.2f} s on connection {talk}"
                    break

    def _in_time(self) -> Iterator[str]:
        for line in self.placements:
            order = self.by_stamp.get(_stamp(line))
            if order is None:
                continue  # told as I2
            late = _time(line) - (order["valid_until"] - self.house.database_ahead)
            if late > timedelta(seconds=1):
                yield f"I14: order {order['id']} was received {late} after it was valid"

    def _brackets_whole(self) -> Iterator[str]:
        legs: defaultdict[int, list[dict]] = defaultdict(list)
        for order in self.orders:
            if order["role"] != "SINGLE" and order["request_id"]:
                legs[order["request_id"]].append(order)
        there = {_stamp(line): line for line in self.at_broker}
        cancelled = {exchange.body.get("perm_id") for exchange in self.run.client.exchanges}
        for request, family in legs.items():
            live = [leg for leg in family if leg["stamp"] in there]
            works = [leg for leg in live if there[leg["stamp"]]["permId"] not in self.ended]
            touched = any(there[leg["stamp"]]["permId"] in self.ended for leg in live)
            filled = any(_stamp(line) == leg["stamp"] for line in self.executions for leg in family)
            if len(live) not in (0, 3):
                yield f"I15: {len(live)} legs of request {request} reached the broker"
            # A client may cancel an exit by itself; with the entry all three go.
            exits = {there[leg["stamp"]]["permId"] for leg in live if leg["role"] != "ENTRY"}
            if touched and not filled and works and not cancelled & exits:
                yield f"I15: {len(works)} legs of request {request} still work though nothing was filled"

    def _cancelled_is_true(self) -> Iterator[str]:
        for exchange in self.run.client.exchanges:
            if exchange.said != "cancelled" or exchange.answer.get("order_status"):
                continue
            end = self.ended.get(exchange.body["perm_id"])
            if end is None or end["status"] != "Cancelled":
                yield f"I16: {exchange.body['perm_id']} was answered cancelled; the gateway says {end}"

    def _trail_intact(self) -> Iterator[str]:
        for words in record.wrong_since_last_time(self.house):
            yield f"I17: {words}"

    def _one_event_per_change(self) -> Iterator[str]:
        trails: defaultdict[int, list[dict]] = defaultdict(list)
        for event in self.events:
            trails[event["order_id"]].append(event)
        for order in self.orders:
            trail = trails[order["id"]]
            if [event["sequence"] for event in trail] != list(range(1, len(trail) + 1)):
                yield f"I18: the events of order {order['id']} are not gapless"
                continue
            state = None
            for event in trail:
                known = events.from_payload(event["kind"], event["payload"], occurred_at=event["occurred_at"])
                state = lifecycle.fold(state, known)
                if state.status != event["to_status"]:
                    yield f"I18: event {event['sequence']} of order {order['id']} says {event['to_status']}"
            if state is None or state.status != order["status"] or state.filled_quantity != order["filled_quantity"]:
                yield f"I18: the events of order {order['id']} add up to something else than its row"

    def _one_key_one_order(self) -> Iterator[str]:
        keys = Counter(row["idempotency_key"] for row in self.requests.values() if row["idempotency_key"])
        for key, count in keys.items():
            if count > 1:
                yield f"I19: key {key} placed {count} requests"
        answers: defaultdict[str, set[int]] = defaultdict(set)
        for exchange in self.run.client.exchanges:
            if exchange.key and exchange.said == "placed":
                answers[exchange.key] |= set(exchange.perm_ids)
        for key, perm_ids in answers.items():
            legs = max(e.legs for e in self.run.client.exchanges if e.key == key)
            if len(perm_ids) > legs:
                yield f"I19: key {key} was answered with {sorted(perm_ids)}"

    def _halted_is_halted(self) -> Iterator[str]:
        halts = self.house.rows(
            "SELECT h.*, r.resumed_at FROM accounts_halt h LEFT JOIN accounts_resumption r ON r.halt_id = h.id"
        )
        for line, halt in product(self.placements, halts):
            received = _time(line) + self.house.database_ahead
            resumed = halt["resumed_at"] is not None and halt["resumed_at"] <= received
            late = received - halt["halted_at"]
            if late > timedelta(seconds=1) and not resumed and self._covers(halt, line):
                yield f"I20: {line['orderRef']} was received {late} after {halt['scope']} {halt['value']} was halted"

    def _covers(self, halt: dict, line: dict) -> bool:
        order = self.by_stamp.get(_stamp(line))
        request = self.requests.get(order["request_id"]) if order is not None else None
        about = {
            "ALL": "",
            "ACCOUNT": line["account"],
            "SYMBOL": line["symbol"],
            "KEY": request["actor"].removeprefix("key:") if request is not None else "",
        }
        return about[halt["scope"]] == halt["value"]

    def _only_allowed_accounts(self) -> Iterator[str]:
        allowed = {exchange.ref: exchange.accounts for exchange in self._distinct_placements()}
        for line in self.placements:
            if line["account"] not in allowed.get(_ref(line), ()):
                yield f"I21: the gateway received {line['orderRef']} for account {line['account']!r}"

    def _positions_add_up(self) -> Iterator[str]:
        held: defaultdict[str, Decimal] = defaultdict(Decimal)
        for line in self.house.ledger():
            if line["kind"] == "execution" and line["account"] == OURS:
                held[line["symbol"]] += Decimal(line["quantity"]) * (1 if line["side"] in ("BUY", "BOT") else -1)
        rows = {
            row["symbol"]: row["quantity"]
            for row in self.house.rows("SELECT symbol, quantity FROM accounts_position WHERE account_id = %s", OURS)
        }
        for symbol, quantity in held.items():
            if rows.get(symbol, 0) != quantity:
                yield f"I22: the position in {symbol} is {rows.get(symbol, 0)}, fills add up to {quantity}"

    def _no_secret(self) -> Iterator[str]:
        secrets = [
            secret
            for url in (self.house.owner_url, self.house.database_url, self.house.redis_url)
            if (secret := re.sub(r".*://[^:]*:([^@]+)@.*", r"\1", url)) != url
        ]
        secrets.append((self.house.directory / "secret_key").read_text().strip())
        secrets += self.house.api_keys
        told = [str(exchange.answer) for exchange in self.run.client.exchanges]
        told += [f"{event['payload']} {event['raw']}" for event in self.events]
        for name, part in self.house.parts.items():
            if any(secret in part.log_text() for secret in secrets):
                yield f"I23: a secret stands in the log of {name}"
        if any(secret in text for text in told for secret in secrets):
            yield "I23: a secret was told"

    def _distinct_placements(self) -> list[Exchange]:
        return [exchange for exchange in self.run.client.exchanges if exchange.legs]

    def _entry_of(self, order: dict) -> dict | None:
        if order["role"] not in ("STOP_LOSS", "TAKE_PROFIT"):
            return None
        return next(o for o in self.orders if o["request_id"] == order["request_id"] and o["role"] == "ENTRY")


def _is_placement_of_ours(line: dict) -> bool:
    return line["kind"] == "placement" and line["clientId"] == CLIENT_ID


def _by(key: Callable[[dict], str | None], lines: Iterable[dict]) -> defaultdict[str | None, list[dict]]:
    found: defaultdict[str | None, list[dict]] = defaultdict(list)
    for line in lines:
        found[key(line)].append(line)
    return found


def _stamp(line: dict) -> str | None:
    return split(line["orderRef"])[1]


def _ref(line: dict) -> str:
    return split(line["orderRef"])[0]


def _time(line: dict) -> datetime:
    return datetime.fromisoformat(line["time"])


def _same(one, other) -> bool:
    try:
        return Decimal(str(one)) == Decimal(str(other))
    except ArithmeticError:
        return one == other
