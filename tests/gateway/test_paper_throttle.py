"""The pacing limit."""

from gateway.paper.throttle import Throttle


def sent(throttle: Throttle, at: float, messages: int) -> int:
    return sum(throttle.take(at) for _ in range(messages))


def test_the_bursts_of_ibs_own_clients_pass() -> None:
    throttle = Throttle(0)

    assert [sent(throttle, second, 45) for second in range(10)] == [45] * 10


def test_a_flood_does_not() -> None:
    throttle = Throttle(0)

    assert sent(throttle, 0, 150) == 100
    assert sent(throttle, 1, 150) == 50
    assert throttle.wait(1) > 0


def test_strikes_count_once_a_second() -> None:
    throttle = Throttle(0)

    assert [throttle.strike(at) for at in (0, 0.5, 0.9, 1.0, 1.5, 2.5)] == [1, 1, 1, 2, 2, 3]


def test_a_rate_of_0_lets_everything_through() -> None:
    assert sent(Throttle(0, 0), 0, 10_000) == 10_000


def test_another_rate_has_a_bucket_of_its_size() -> None:
    throttle = Throttle(0, 10)

    assert sent(throttle, 0, 100) == 20
    assert sent(throttle, 1, 100) == 10
