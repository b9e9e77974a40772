from decimal import Decimal

import pytest

from ibkr_site.rendering import NumberRenderer


@pytest.mark.parametrize(
    ("number", "text"),
    [
        ("10", "10"),
        ("10.00000000", "10"),
        ("-5.0", "-5"),
        ("0E-8", "0"),
        ("1E+2", "100"),
        ("230.50000000", "230.5"),
        ("231.37", "231.37"),
        ("201879.04", "201879.04"),
        ("0.1", "0.1"),
        ("0.00000001", "1e-08"),
        ("99999999.9999", "99999999.9999"),
    ],
)
def test_decimals_become_json_numbers(number, text):
    assert NumberRenderer().render({"n": Decimal(number)}) == f'{{"n":{text}}}'.encode()


def test_what_is_no_number_is_never_written():
    with pytest.raises(ValueError, match="not JSON compliant"):
        NumberRenderer().render({"n": Decimal("NaN")})


def test_text_stays_readable():
    assert NumberRenderer().render({"status": "✅ sent"}) == '{"status":"✅ sent"}'.encode()
