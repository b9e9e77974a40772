"""From the bytes of a Flex file to what it says, as they come. Pure: knows no file, no database and no clock.

Rules
1. All or nothing is the caller's: rows come while the rest of the file is unread, and the rest may be refused.
2. Read as UTF-8, whatever the file says of itself; document types and entities are refused; nothing is held but the
   element at hand, so memory does not grow with the file.
3. Each refusal names the line. Sections that are of no use here are passed over, and named in the statement's end.
"""

import codecs
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import tzinfo
from typing import Any
from xml.sax import SAXParseException
from xml.sax.handler import ContentHandler

from defusedxml import DefusedXmlException
from defusedxml.sax import make_parser

from orders.flex import rows
from orders.flex.statement import End, FlexRefused, Header, Item, Kind
from orders.flex.values import Attributes

CUT_OFF = "ends in the middle: it was cut off; download it again"
_PACKED = {b"\x1f\x8b": "gzip", b"PK": "zip", b"BZ": "bzip2", b"\xfd7zXZ": "xz", b"\x28\xb5\x2f\xfd": "zstd"}
_NOT_FLEX = "is not a Flex statement: choose XML as the format of the query, and download the statement itself"


def read(chunks: Iterable[bytes], *, accounts: Collection[str], zone: tzinfo) -> Iterator[Item]:
    """Each statement's header, its rows in the order of the file, and its end.

    `accounts` are those whose statements are taken; `zone` is the one that the times of the file are of.
    Raises: FlexRefused.
    """
    items: list[Item] = []
    parser = make_parser()
    parser.forbid_dtd = True
    handler = _Handler(items.append, line_of=parser.getLineNumber, accounts=accounts, zone=zone)
    parser.setContentHandler(handler)
    try:
        for text in _decoded(chunks):
            parser.feed(text)
            yield from items
            items.clear()
        if handler.complete:
            parser.close()
    except DefusedXmlException:
        reason = "declares a document type or an entity, which no Flex statement does: is it a web page?"
        raise FlexRefused(parser.getLineNumber(), reason) from None
    except SAXParseException as problem:
        raise FlexRefused(problem.getLineNumber() or 1, f"is not XML: {problem.getMessage()}") from None
    if not handler.complete:
        line = parser.getLineNumber() if handler.begun else 1
        raise FlexRefused(line or 1, CUT_OFF)


def _decoded(chunks: Iterable[bytes]) -> Iterator[str]:
    """The text of the file. An XML declaration may name another encoding; the parser is not asked to believe it."""
    decoder, line, begun = codecs.getincrementaldecoder("utf-8-sig")(), 1, False
    for chunk in chunks:
        if not begun:
            _refuse_packed(chunk)
        try:
            text = decoder.decode(chunk)
        except UnicodeDecodeError as problem:
            line += problem.object[: problem.start].count(b"\n")
            raise FlexRefused(line, "is not UTF-8, in which all Flex statements are") from None
        if not begun and text.strip():
            begun = True
            if not text.lstrip().startswith("<"):
                raise FlexRefused(line, _NOT_FLEX)
        line += text.count("\n")
        if text:
            yield text
    if decoder.getstate()[0]:
        raise FlexRefused(line, CUT_OFF)
    if not begun:
        raise FlexRefused(1, "is empty")


def _refuse_packed(start: bytes) -> None:
    for magic, name in _PACKED.items():
        if start.startswith(magic):
            raise FlexRefused(1, f"is packed ({name}): unpack it first")


@dataclass(slots=True)
class _Section:
    name: str
    line: int
    passed_over: int = 0
    read: int = 0


class _Handler(ContentHandler):
    """Follows the nesting: FlexQueryResponse > FlexStatements > FlexStatement > a section > its rows."""

    def __init__(
        self,
        emit: Callable[[Item], None],
        *,
        line_of: Callable[[], int],
        accounts: Collection[str],
        zone: tzinfo,
    ) -> None:
        super().__init__()
        self._emit, self._line_of, self._accounts, self._zone = emit, line_of, accounts, zone
        self._depth = 0
        self._kind, self._query_name = Kind.ACTIVITY, ""
        self._announced = self._statements = 0
        self._header: Header | None = None
        self._section: _Section | None = None
        self._sections: list[str] = []
        self._unread: list[str] = []
        self.begun = self.complete = False

    def startElement(self, name: str, attrs: Any) -> None:  # noqa: N802  # ContentHandler's name
        self._depth += 1
        found = Attributes(self._line_of(), name, dict(attrs), self._zone)
        match self._depth:
            case 1:
                self._begin_file(found)
            case 2 if name == "FlexStatements":
                self._announced = found.identifier("count")
            case 3 if name == "FlexStatement":
                self._begin_statement(found)
            case 4:
                self._begin_section(found)
            case depth if depth < 4:
                found.refuse(_NOT_FLEX)
            case _:
                self._row(found)

    def endElement(self, name: str) -> None:  # noqa: N802  # ContentHandler's name
        match self._depth:
            case 4:
                self._end_section()
            case 3:
                self._emit(End(line=self._line_of(), sections=tuple(self._sections), unread=tuple(self._unread)))
            case 2 if self._statements != self._announced:
                reason = f"says that it has {self._announced} statements and has {self._statements}"
                raise FlexRefused(self._line_of(), reason)
            case 1:
                self.complete = True
        self._depth -= 1

    def _begin_file(self, found: Attributes) -> None:
        self.begun = True
        if found.element == "FlexStatementResponse":
            found.refuse("is the web service's answer to a request: fetch the statement that it announces")
        if found.element != "FlexQueryResponse":
            found.refuse(_NOT_FLEX)
        kind = found.text("type")
        if kind not in list(Kind):
            found.refuse(f"type={kind!r} is neither an activity (AF) nor a trade confirmation (TCF) query")
        self._kind, self._query_name = Kind(kind), found.maybe_text("queryName")

    def _begin_statement(self, found: Attributes) -> None:
        self._statements += 1
        account = found.text("accountId")
        if account not in self._accounts:
            found.refuse(
                f"accountId={account!r} is no account of this site. Has it been connected to the account's gateway? "
                "The query must show account ids, not aliases, and be broken out by account"
            )
        generated = found.text("whenGenerated")
        self._header = Header(
            line=found.line,
            kind=self._kind,
            query_name=self._query_name,
            account=account,
            period_from=found.day("fromDate"),
            period_to=found.day("toDate"),
            generated_text=generated,
            generated_at=found.moment(generated, name="whenGenerated"),
        )
        if self._header.period_from > self._header.period_to:
            found.refuse("fromDate is after toDate")
        self._sections, self._unread = [], []
        self._emit(self._header)

    def _begin_section(self, found: Attributes) -> None:
        self._section = _Section(found.element, found.line) if found.element in rows.SECTIONS else None
        names = self._sections if self._section else self._unread
        if found.element not in names:
            names.append(found.element)

    def _end_section(self) -> None:
        section = self._section
        if section is not None and section.passed_over and not section.read:
            raise FlexRefused(section.line, f"{section.name} {rows.ADVICE[section.name]}")

    def _row(self, found: Attributes) -> None:
        section, header = self._section, self._header
        if section is None or header is None:
            return
        element, reader = rows.SECTIONS[section.name]
        if found.element != element or not rows.counts(element, found.values):
            section.passed_over += 1
            return
        account = found.maybe_text("accountId") or header.account
        if account != header.account:
            found.refuse(f"accountId={account!r} stands in the statement of {header.account}")
        section.read += 1
        self._emit(reader(found, header.account, header.period_to))
