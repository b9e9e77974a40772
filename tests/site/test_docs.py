"""The documentation says what is so: its links lead somewhere, and what it lists is what there is."""

import json
import re
from pathlib import Path

import pytest
from django.urls import Resolver404, get_resolver, resolve

from gateway import dialect
from ibkr_site import health
from orders import lifecycle
from orders.management.commands import write_tables
from orders.vocabulary import EventKind, OrderStatus, OrderType, Role, Side, TimeInForce

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = {str(path.relative_to(ROOT)): path.read_text() for path in sorted([*ROOT.glob("*.md"), *DOCS.rglob("*.md")])}
SITE = "http://localhost:8000"
each_page = pytest.mark.parametrize("page", PAGES)


def prose(page):
    """The page without its code blocks."""
    return re.sub(r"^```.*?^```$", "", PAGES[page], flags=re.MULTILINE | re.DOTALL)


def code(page):
    """The code blocks of the page, as (language, text)."""
    return re.findall(r"^```(\w*)\n(.*?)^```$", PAGES[page], re.MULTILINE | re.DOTALL)


def anchors(page):
    """The anchors that a code host makes of headings."""
    headings = re.findall(r"^#+ (.*)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def links(page):
    return re.findall(r"\]\(([^)\s]+)\)", prose(page)) + re.findall(r"<(https?://[^>]+)>", prose(page))


@each_page
def test_links_lead_somewhere(page):
    for link in links(page):
        if link.startswith(SITE):
            resolve(link.removeprefix(SITE))
        elif not link.startswith("https://"):
            path, _, anchor = link.partition("#")
            target = (ROOT / page).parent / path if path else ROOT / page
            assert target.exists(), link
            if anchor:
                assert anchor in anchors(str(target.resolve().relative_to(ROOT))), link


def test_every_page_can_be_reached_from_the_readme():
    reached, waiting = set(), ["README.md"]
    while waiting:
        page = waiting.pop()
        if page in reached or page not in PAGES:
            continue
        reached.add(page)
        for link in links(page):
            target = ((ROOT / page).parent / link.partition("#")[0]).resolve()
            if target.suffix == ".md":
                waiting.append(str(target.relative_to(ROOT)))

    assert reached == set(PAGES)


@each_page
def test_make_targets_exist(page):
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    blocks = "\n".join(text for _, text in code(page))
    lines = re.findall(r"\bmake ((?:[a-z-]+ ?)+)", blocks)
    named = {word for line in lines for word in line.split()} | set(re.findall(r"`make ([a-z-]+)", prose(page)))

    assert named <= targets


def test_the_readme_has_the_two_commands():
    commands = [line.partition("#")[0].strip() for _, text in code("README.md") for line in text.splitlines()]

    assert {"make run", "make test"} <= set(commands)


@each_page
def test_variables_in_commands_are_documented(page):
    documented = set(re.findall(r"^([A-Z_]+)=", (ROOT / ".env.example").read_text(), re.MULTILINE))
    elsewhere = {"ARGS", "TZ", "PERM_ID", "BASE_URL"} | {
        "REQUIRE_BROWSER",
        "REQUIRE_NODE",
        "FAULT_SEED",
    }  # of make, the system, tests
    named = re.findall(r"(?<![\w$])([A-Z][A-Z_]+)=", PAGES[page])

    assert {name.removesuffix("_FILE") for name in named} - elsewhere <= documented


@each_page
def test_commands_of_manage_py_exist(page):
    commands = {path.stem for path in ROOT.glob("[a-z]*/management/commands/[a-z]*.py")}

    assert set(re.findall(r"manage\.py ([a-z_]+)", PAGES[page])) <= commands


@pytest.mark.parametrize(("page", "part"), write_tables.parts())
def test_generated_parts_are_current(page, part):
    text = PAGES[f"docs/{page}"]

    assert write_tables.with_part(text, part, write_tables.parts()[page, part]) == text, "run manage.py write_tables"


def test_a_page_without_a_place_for_its_part_is_an_error():
    with pytest.raises(ValueError, match="no part"):
        write_tables.with_part("# A page\n", "table", "text")


def test_every_row_of_the_lifecycle_is_shown_once():
    rows = re.findall(r"^\| (\w+) \| (\w+) \| (\w+) \|", PAGES["docs/lifecycle.md"], re.MULTILINE)
    moving = {pair: end for pair, end in lifecycle.TABLE.items() if pair[1] not in write_tables.NOTES}

    assert len(rows) == len(moving)
    assert {(start, kind): end for start, kind, end in rows} == moving
    assert all(lifecycle.TABLE[status, kind] is status for status in OrderStatus for kind in write_tables.NOTES)


def test_every_comment_of_the_lifecycle_is_found():
    source = Path(lifecycle.__file__).read_text()
    commented = [line for line in source.splitlines() if line.startswith("    (S.") and "  # " in line]

    assert len(write_tables.reasons()) >= len(commented)
    assert sum(1 for why in write_tables.reasons().values() if why) == len(commented)


# --- The API page ------------------------------------------------------------------------------------------------


def served():
    """Every API path of the site with its method."""
    site = {"schema", "docs", "redoc"}
    names = [found for found in routes(get_resolver()) if found[1].name and found[1].name not in site]
    found = set()
    for prefix, pattern in names:
        path = "/" + prefix + str(pattern.pattern).strip("^$").removesuffix("/?").replace("\\", "")
        path = re.sub(r"\(\?P<\w+>[^)]*\)", "{id}", path)
        method = "POST" if path.startswith("/order/") else "GET"
        found.add(f"{method} {path}")
    return found


def routes(resolver, prefix=""):
    """The prefix and the pattern of every address."""
    for pattern in resolver.url_patterns:
        if str(pattern.pattern).startswith("admin"):
            continue
        if hasattr(pattern, "url_patterns"):
            yield from routes(pattern, prefix + str(pattern.pattern))
        else:
            yield prefix, pattern


def test_every_endpoint_is_documented_and_every_documented_one_exists():
    assert set(re.findall(r"\b((?:GET|POST) /[\w/{}]+)`\]", PAGES["docs/api.md"])) == served()


def test_the_sample_of_readiness_is_the_schemas():
    shown = [json.loads(text) for language, text in code("docs/api.md") if language == "json" and "problem" in text]

    assert shown == [health.SAMPLE]


@each_page
def test_addresses_in_examples_exist(page):
    for address in re.findall(rf"{SITE}(/[\w/]*)", PAGES[page]):
        try:
            resolve(address)
        except Resolver404:
            pytest.fail(f"{page} names {address}")


# --- The glossary ------------------------------------------------------------------------------------------------


def glossary(heading):
    """The rows below that heading, as lists of their cells."""
    _, _, rest = PAGES["docs/glossary.md"].partition(f"## {heading}\n")
    section, _, _ = rest.partition("\n## ")
    return [
        [cell.strip() for cell in line.strip("|").split("|")] for line in section.splitlines() if line.startswith("| `")
    ]


def words(cell):
    return re.findall(r"`([^`]+)`", cell)


def first_words(heading):
    return [word for row in glossary(heading) for word in words(row[0])]


def test_the_glossary_has_every_status_and_event():
    assert first_words("Statuses") == OrderStatus.values
    assert sorted(first_words("Events")) == sorted(EventKind.values)


def test_the_glossary_has_the_order_types_of_both_sides():
    table = {words(ours)[0]: words(theirs)[0] for ours, theirs in glossary("Order types")}

    assert table == dialect.ORDER_TYPES
    assert set(table) == set(OrderType.values)


def test_the_glossary_has_sides_times_and_roles():
    rows = glossary("Sides, time in force, roles")

    assert [word for row in rows for word in words(row[0])] == [*Side.values, *TimeInForce.values, *Role.values]
    for side in Side.values:
        (theirs,) = [words(row[2]) for row in rows if words(row[0]) == [side]]
        assert {dialect.fix_side(word) for word in theirs} == {side}


def test_the_glossary_has_every_word_of_the_broker():
    shown = {word for row in glossary("Statuses") for word in words(row[2])}

    assert shown >= dialect.WORKING_STATUSES | dialect.CANCELED_STATUSES | {dialect.FILLED_STATUS}
