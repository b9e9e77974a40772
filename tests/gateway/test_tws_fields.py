from decimal import Decimal

import pytest

from gateway.tws import fields as f

MAX_OF_PYTHON = "1.7976931348623157e+308"
MAX_OF_JAVA = "1.7976931348623157E308"

READ = [
    (f.FLAG, "1", True),
    (f.FLAG, "0", False),
    (f.FLAG, "", False),
    (f.ID, "7", 7),
    (f.ID, "-1", -1),
    (f.INT, "", 0),
    (f.INT, "2147483647", 2147483647),
    (f.LONG, "1376327563000", 1376327563000),
    (f.LONG, "", 0),
    (f.OPTIONAL_INT, "", None),
    (f.OPTIONAL_INT, "2147483647", None),
    (f.OPTIONAL_INT, "0", 0),
    (f.OPTIONAL_INT_AS_ZERO, "0", None),
    (f.NUMBER, "100", Decimal(100)),
    (f.NUMBER, "", Decimal(0)),
    (f.NUMBER, "0.1", Decimal("0.1")),
    (f.NUMBER, "1e-05", Decimal("0.00001")),
    (f.NUMBER, "5e-324", Decimal("5e-324")),
    (f.NUMBER, ".5", Decimal("0.5")),
    (f.OPTIONAL_NUMBER, "", None),
    (f.OPTIONAL_NUMBER, MAX_OF_PYTHON, None),
    (f.OPTIONAL_NUMBER, MAX_OF_JAVA, None),
    (f.OPTIONAL_NUMBER, "0.0", Decimal(0)),
    (f.OPTIONAL_NUMBER_AS_ZERO, "0", None),
    (f.PRICE_AS_ZERO, "0.0", Decimal(0)),
    (f.OFFSET, "Infinite", Decimal("Infinity")),
    (f.OFFSET, "", None),
    (f.RIGHT, "?", ""),
    (f.RIGHT, "C", "C"),
    (f.ABSENT_WORD, "None", ""),
    (f.ABSENT_WORD, "LMT", "LMT"),
    (f.LONG_NAME, "Soci\\u00e9t\\u00e9 \\ud83d\\udcc8", "Société 📈"),
]


@pytest.mark.parametrize(("encoding", "text", "value"), READ, ids=lambda case: getattr(case, "name", None))
def test_reads(encoding, text, value):
    read = encoding.read(text)

    assert read == value
    assert type(read) is type(value)


@pytest.mark.parametrize(
    ("encoding", "value", "text"),
    [
        (f.FLAG, True, "1"),
        (f.FLAG, False, "0"),
        (f.INT, -1, "-1"),
        (f.NUMBER, Decimal("100.00"), "100.00"),
        (f.NUMBER, Decimal("1E+2"), "100"),
        (f.NUMBER, Decimal("1E-7"), "0.0000001"),
        (f.NUMBER, Decimal("5e-324"), "5E-324"),
        (f.NUMBER, Decimal("1.5e300"), "1.5E+300"),
        (f.OPTIONAL_INT, None, ""),
        (f.OPTIONAL_INT_AS_MAX, None, "2147483647"),
        (f.OPTIONAL_INT_AS_ZERO, None, "0"),
        (f.OPTIONAL_NUMBER, None, ""),
        (f.OPTIONAL_NUMBER_AS_MAX, None, MAX_OF_JAVA),
        (f.OPTIONAL_NUMBER_AS_ZERO, None, "0"),
        (f.PRICE_AS_ZERO, None, "0.0"),
        (f.OFFSET, Decimal("Infinity"), "Infinite"),
        (f.OFFSET, Decimal("0.02"), "0.02"),
        (f.OFFSET, None, ""),
        (f.RIGHT, "", ""),
        (f.RIGHT_AS_MARK, "", "?"),
        (f.RIGHT_AS_MARK, "P", "P"),
        (f.ABSENT_WORD, "", ""),
        (f.ABSENT_WORD_AS_NONE, "", "None"),
        (f.LONG_NAME, "a\\u0041", "a\\u005cu0041"),
    ],
    ids=lambda case: getattr(case, "name", None),
)
def test_writes(encoding, value, text):
    assert encoding.write(value) == text


@pytest.mark.parametrize("text", ["", "x", "1.0", " 1", "1_0", "١", "2147483648", "-99999999999", "9" * 19, "NaN"])
def test_no_id(text):
    with pytest.raises(ValueError, match="integer|32 bits"):
        f.ID.read(text)


@pytest.mark.parametrize(
    "text",
    [
        "x",
        "NaN",
        "nan",
        "sNaN",
        "inf",
        "-inf",
        "Infinity",
        "Infinite",
        "1e309",
        "1e9999",
        "1e-325",
        "0e-999",
        "1_0",
        "1,5",
        " 1",
        "٣",
        ".",
        "-",
        "9" * 500,
    ],
)
def test_no_number(text):
    with pytest.raises(ValueError, match="number|range of a double"):
        f.NUMBER.read(text)


@pytest.mark.parametrize(
    ("encoding", "text"), [(f.FLAG, "true"), (f.FLAG, "2"), (f.COUNT, "-1"), (f.COUNT, ""), (f.CONDITION_KIND, "2")]
)
def test_no_such_value(encoding, text):
    with pytest.raises(ValueError, match="is no"):
        encoding.read(text)
