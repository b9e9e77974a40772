"""Check an export of the audit trail: `python verify.py BUNDLE [--key PUBLIC_KEY]`. Needs Python 3.10 and nothing else.

This one file is all that a verification takes; no database, no account, no other package. What it holds for true:
  1. An entry is a line of JSON in one exact spelling (RFC 8785). Its hash is SHA-256 of that line.
  2. Entries are linked: each one names the hash of the entry before it in its chain.
  3. A checkpoint says how long a chain was at a time, and the root of a Merkle tree (RFC 6962) over its hashes. It is
     signed with Ed25519 (RFC 8032), in the note format of C2SP (c2sp.org/tlog-checkpoint).
  4. An entry is PROVED when a path of hashes leads from it to the root of a signed checkpoint, or when the entry after
     it is proved and names its hash.
The signatures are checked by the Ed25519 in this file, written from RFC 8032, section 5.1: slow, and short to read.
The manifest repeats what the other files say; it is composed again here and compared, so that no byte of it is free.

Trust begins with the public key: compare it with the one you were given by another way, or name that one by --key.
Exit codes: 0 all entries are proved; 1 something is wrong, and the line says what; 2 nothing wrong was found, but some
entries are newer than the last checkpoint and so not proved.
"""

import argparse
import base64
import hashlib
import json
import sys
from pathlib import Path
from typing import Any

Point = tuple[int, int, int, int]
Key = tuple[str, bytes]  # name, 32 bytes
Checkpoint = tuple[str, int, bytes, str, str]  # chain, size, root, head, time
Texts = dict[str, str]  # by the name of the file
Place = tuple[str, int]  # chain, number in it
Hashes = dict[Place, str]

FILES = ("checkpoints.txt", "entries.jsonl", "proofs.jsonl", "public_key.txt")
FORMAT = "order-audit-bundle/1"


class Wrong(Exception):
    """What is wrong, in words."""


# --- Ed25519, verification only (RFC 8032, 5.1) ---------------------------------------------------------------------

P = 2**255 - 19
ORDER = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P
ROOT_OF_MINUS_ONE = pow(2, (P - 1) // 4, P)


def point(encoded: bytes) -> Point:
    """The curve point of 32 bytes: y, little-endian, and the sign of x in the topmost bit.

    Points are (X, Y, Z, T) with x = X/Z, y = Y/Z and x*y = T/Z, which saves divisions (5.1.4).
    """
    number = int.from_bytes(encoded, "little")
    y, sign = number & ((1 << 255) - 1), number >> 255
    if y >= P:
        raise Wrong("a number in the key or signature is out of range")
    x_squared = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    x = pow(x_squared, (P + 3) // 8, P)
    if (x * x - x_squared) % P:
        x = x * ROOT_OF_MINUS_ONE % P
    if (x * x - x_squared) % P or (x == 0 and sign):
        raise Wrong("the key or signature is no point of the curve")
    x = P - x if x % 2 != sign else x
    return x, y, 1, x * y % P


def add(one: Point, other: Point) -> Point:
    """The sum of two points."""
    a = (one[1] - one[0]) * (other[1] - other[0]) % P
    b = (one[1] + one[0]) * (other[1] + other[0]) % P
    c = 2 * one[3] * other[3] * D % P
    d = 2 * one[2] * other[2] % P
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % P, g * h % P, f * g % P, e * h % P


def multiply(scalar: int, base: Point) -> Point:
    """The point added to itself so many times."""
    result = (0, 1, 1, 0)
    while scalar:
        if scalar % 2:
            result = add(result, base)
        base = add(base, base)
        scalar //= 2
    return result


def same(one: Point, other: Point) -> bool:
    """Whether two points are one."""
    return (one[0] * other[2] - other[0] * one[2]) % P == 0 and (one[1] * other[2] - other[1] * one[2]) % P == 0


BASE = point((4 * pow(5, P - 2, P) % P).to_bytes(32, "little"))


def signature_fits(public: bytes, signature: bytes, message: bytes) -> bool:
    """Whether the 64 bytes are a signature of the message by the key of 32 bytes."""
    if len(public) != 32 or len(signature) != 64:
        return False
    first, scalar = signature[:32], int.from_bytes(signature[32:], "little")
    if scalar >= ORDER:
        return False
    challenge = int.from_bytes(hashlib.sha512(first + public + message).digest(), "little") % ORDER
    return same(multiply(scalar, BASE), add(point(first), multiply(challenge, point(public))))


# --- RFC 8785, for what the trail holds: text, whole numbers, true, false, null, lists, objects ---------------------


def canonical(value: Any) -> str:
    """The one spelling of a value."""
    if isinstance(value, dict):
        keys = sorted(value, key=lambda key: key.encode("utf-16-be"))
        return "{" + ",".join(canonical(key) + ":" + canonical(value[key]) for key in keys) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(canonical, value)) + "]"
    if isinstance(value, float):
        raise Wrong("there is a number with a fraction, which the trail never holds")
    return json.dumps(value, ensure_ascii=False)


def parse(line: str, what: str) -> Any:
    """The value of a line of canonical JSON."""
    try:
        value = json.loads(line)
        exact = canonical(value)
    except ValueError:
        raise Wrong(f"{what} is not JSON") from None
    if exact != line:
        raise Wrong(f"{what} is not spelled as RFC 8785 wants it")
    return value


def unhex(text: str) -> bytes:
    """The bytes of a hash in hex, which has one spelling too."""
    value = bytes.fromhex(text)
    if value.hex() != text:
        raise Wrong(f"not in small hex digits: {text}")
    return value


# --- Merkle paths (RFC 9162, 2.1.3.2) -------------------------------------------------------------------------------


def root_by_path(index: int, size: int, leaf: bytes, path: list[bytes]) -> bytes:
    """The root that the path leads to from the leaf at that index (from 0) of a tree of so many leaves."""
    position, last = index, size - 1
    node = hashlib.sha256(b"\0" + leaf).digest()
    for sibling in path:
        if last == 0:
            raise Wrong("a path is longer than its tree is high")
        if position % 2 or position == last:
            node = hashlib.sha256(b"\1" + sibling + node).digest()
            while position and not position % 2:
                position, last = position // 2, last // 2
        else:
            node = hashlib.sha256(b"\1" + node + sibling).digest()
        position, last = position // 2, last // 2
    if last:
        raise Wrong("a path ends below its root")
    return node


# --- Keys and checkpoints (C2SP signed-note, tlog-checkpoint) -------------------------------------------------------


def decoded(text: str) -> bytes:
    """The bytes of base64 text, which has one spelling too."""
    try:
        value = base64.b64decode(text, validate=True)
    except ValueError:
        raise Wrong(f"not base64: {text}") from None
    if base64.b64encode(value).decode() != text:
        raise Wrong(f"not base64: {text}")
    return value


def key_id(name: str, public: bytes) -> bytes:
    return hashlib.sha256(name.encode() + b"\n\x01" + public).digest()[:4]


def public_key(line: str) -> Key:
    """Name and key of a line `name+id+base64`."""
    name, _, rest = line.partition("+")
    written_id, _, encoded = rest.partition("+")
    blob = decoded(encoded)
    if blob[:1] != b"\x01" or len(blob) != 33 or key_id(name, blob[1:]).hex() != written_id:
        raise Wrong(f"this is no Ed25519 key, or its id is not its own: {line}")
    return name, blob[1:]


def checkpoint(note: str, keys: list[Key]) -> Checkpoint:
    """Chain, size, root, head and time of a signed note."""
    text, _, signatures = note.partition("\n\n")
    text += "\n"
    lines = signatures.split("\n")
    if len(lines) != 2 or lines[1] or not lines[0].startswith("\u2014 "):
        raise Wrong("a checkpoint has not exactly one line of signature")
    name, _, encoded = lines[0][2:].rpartition(" ")
    blob = decoded(encoded)
    public = [key for known, key in keys if known == name and key_id(known, key) == blob[:4]]
    if not public or not signature_fits(public[0], blob[4:], text.encode()):
        raise Wrong(f"a checkpoint is not signed by the key: {text.splitlines()[0]}")
    first, size, root, head, time = text[:-1].split("\n")
    if not first.startswith(name + "/") or head[:5] != "head " or time[:5] != "time ":
        raise Wrong("a signed text is no checkpoint")
    return first[len(name) + 1 :], int(size), decoded(root), head[5:], time[5:]


# --- The bundle -----------------------------------------------------------------------------------------------------


def lines_of(text: str, name: str) -> list[str]:
    """The lines of a file that ends its last line."""
    if text and not text.endswith("\n"):
        raise Wrong(f"{name} does not end with a line")
    return text.split("\n")[:-1]


def read(directory: Path) -> Texts:
    """The files as text."""
    found = sorted(path.name for path in directory.iterdir())
    if found != sorted((*FILES, "manifest.json")):
        raise Wrong(f"the bundle should hold {', '.join(FILES)} and manifest.json, and holds {', '.join(found)}")
    try:
        return {name: (directory / name).read_bytes().decode() for name in found}
    except UnicodeDecodeError:
        raise Wrong("a file is not UTF-8") from None


def manifest(texts: Texts, entries: list[dict[str, Any]]) -> str:
    """What the manifest must be, word by word."""
    chains: dict[str, dict[str, int]] = {}
    for entry in entries:
        numbers = chains.setdefault(entry["chain"], {"entries": 0, "first": entry["seq"], "last": 0})
        numbers["entries"] += 1
        numbers["last"] = entry["seq"]
    sums = {name: hashlib.sha256(texts[name].encode()).hexdigest() for name in FILES}
    return canonical({"chains": chains, "files": sums, "format": FORMAT}) + "\n"


def entries_of(texts: Texts) -> tuple[list[dict[str, Any]], Hashes]:
    """The entries, and the hash of each by its chain and number."""
    entries: list[dict[str, Any]] = []
    hashes: Hashes = {}
    last = ("", 0)
    for number, line in enumerate(lines_of(texts["entries.jsonl"], "entries.jsonl"), start=1):
        entry = parse(line, f"the entry in line {number}")
        place = (entry["chain"], entry["seq"])
        if place <= last:
            raise Wrong(f"line {number} is not in its order: {place[0]} {place[1]}")
        entries.append(entry)
        hashes[place] = hashlib.sha256(line.encode()).hexdigest()
        last = place
    return entries, hashes


def checkpoints_of(texts: Texts, keys: list[Key]) -> list[Checkpoint]:
    """What the notes say, each signed by one of the keys."""
    parts = texts["checkpoints.txt"].split("\n\n")  # by turns a text and its signature
    if parts.pop() or len(parts) % 2:
        raise Wrong("checkpoints.txt does not end with a checkpoint")
    return [
        checkpoint(f"{text}\n\n{signature}\n", keys) for text, signature in zip(parts[::2], parts[1::2], strict=True)
    ]


def proved_by_paths(texts: Texts, hashes: Hashes, signed: list[Checkpoint]) -> set[Place]:
    """The places of the entries from which a path leads to a checkpoint."""
    proved: set[Place] = set()
    for line in lines_of(texts["proofs.jsonl"], "proofs.jsonl"):
        proof = parse(line, "a proof")
        place, size = (proof["chain"], proof["seq"]), proof["size"]
        if place not in hashes or not 0 < place[1] <= size:
            raise Wrong(f"there is a proof of an entry that is not here: {place[0]} {place[1]}")
        path = [unhex(text) for text in proof["path"]]
        root = root_by_path(place[1] - 1, size, bytes.fromhex(hashes[place]), path)
        if not any((chain, length, top) == (place[0], size, root) for chain, length, top, _, _ in signed):
            raise Wrong(f"{place[0]}, entry {place[1]}: its path leads to no signed checkpoint")
        proved.add(place)
    return proved


def check(directory: Path, given_key: str | None = None) -> tuple[list[str], int]:
    """Check everything; returns lines to print and the number of entries that are not proved. Raises: Wrong."""
    texts = read(directory)
    entries, hashes = entries_of(texts)
    if manifest(texts, entries) != texts["manifest.json"]:
        raise Wrong("manifest.json is not what it should be: a file was changed, left out or added")
    key_lines = lines_of(texts["public_key.txt"], "public_key.txt")
    if given_key is not None and given_key not in key_lines:
        raise Wrong("the checkpoints are signed by another key than the one you named")
    keys = [public_key(line) for line in key_lines if given_key in (None, line)]
    signed = checkpoints_of(texts, keys)
    proved = proved_by_paths(texts, hashes, signed)
    for chain, size, _, head, _ in signed:
        if hashes.get((chain, size), head) != head:
            raise Wrong(f"{chain}, entry {size} is not the one that the checkpoint names")
    for entry in reversed(entries):  # from a proved entry back to those it is linked to
        place, before = (entry["chain"], entry["seq"]), (entry["chain"], entry["seq"] - 1)
        if before in hashes and entry["prev"] != hashes[before]:
            raise Wrong(f"{place[0]}, entry {place[1]} does not name the hash of the entry before it")
        if before in hashes and place in proved:
            proved.add(before)
    lines = [f"key {line}" for line in key_lines]
    lines += [f"checkpoint of {chain}: {size} entries at {time}" for chain, size, _, _, time in signed]
    return [*lines, f"{len(proved)} of {len(entries)} entries are proved"], len(entries) - len(proved)


def main() -> int:
    options = argparse.ArgumentParser(description="Check an export of the audit trail.")
    options.add_argument("bundle", type=Path, help="the directory that manage.py export_audit wrote")
    options.add_argument("--key", help="the public key that you were given by another way, name+id+base64")
    given = options.parse_args()
    try:
        lines, unproved = check(given.bundle, given.key)
    except Wrong as problem:
        print(f"WRONG: {problem}")  # noqa: T201
        return 1
    except (KeyError, TypeError, ValueError, OSError) as problem:
        print(f"WRONG: this is no bundle: {type(problem).__name__}: {problem}")  # noqa: T201
        return 1
    print("\n".join(lines))  # noqa: T201
    if unproved:
        print(f"NOT PROVED: {unproved} entries are newer than the last checkpoint")  # noqa: T201
        return 2
    print("PROVED")  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main())
