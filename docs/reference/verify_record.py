#!/usr/bin/env python3
"""
Verify a folder of corpproxy records with Python and its package ``cryptography``, and nothing of ours.

    verify_record.py FOLDER PUBLIC-KEY.pem [CHECKPOINTS-KEPT-ELSEWHERE ...]

It follows the specification of the format and shares no line with corpproxy.  It says what does not hold, and
exits with 1; it does not guess what happened, as ``corpproxy audit verify`` does.
Segments in Zstandard need the program ``zstd`` too.
"""

import gzip
import hashlib
import io
import json
import re
import subprocess
import sys
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.serialization import load_pem_public_key

SEGMENT = re.compile(r"records-(\d{8}T\d{6}Z)-(?:w(\d+)-)?(\d{4,})\.jsonl(?:\.\d+|-\d+)?(\.gz|\.zst)?")
GROUPS = {
    "who": ["client", "user", "agent", "whom"],
    "where": ["host", "hosts", "resolved", "upstream", "server_name", "entry", "reason", "ended_reason"],
    "url": ["path"],
}
PROOF = ["n", "seed", "salts", "erased", "chain"]

faults = []


def opened(path):
    """The lines of a file, unpacked."""
    if path.suffix != ".zst":
        return (gzip.open if path.suffix == ".gz" else open)(path, "rb")
    unpacked = subprocess.run(["zstd", "-dcq", path], stdout=subprocess.PIPE, check=True)
    return io.BytesIO(unpacked.stdout)


def fault(place, said):
    faults.append(f"{place}: {said}")


def unhex(text, octets):
    if len(text) != 2 * octets or set(text) - set("0123456789abcdef"):
        raise ValueError("no hash where there must be one")
    return bytes.fromhex(text)


def members(line):
    """The members of an object on one line: name, value, octets from the comma or brace before it."""
    text = line.decode("utf-8")
    decoder, at, found = json.JSONDecoder(), 0, []
    while text[at] != "}":
        if text[at] not in "{,":
            raise ValueError("no member")
        name, colon = decoder.raw_decode(text, at + 1)
        if text[colon] != ":":
            raise ValueError("no value")
        value, end = decoder.raw_decode(text, colon + 1)
        found.append((name, value, text[at:end].encode()))
        at = end
    if text[at:] != "}":
        raise ValueError("octets behind the object")
    return found


def digest(line):
    """The hash of a record, its number, and the hash of the record before."""
    public, groups, proof, rest = b"", dict.fromkeys(GROUPS, b""), {}, list(GROUPS)
    of = {name: group for group, names in GROUPS.items() for name in names}
    stage = "public"
    for name, value, octets in members(line):
        if stage == "public":
            public += octets
            stage = "groups" if name == "result" else "public"
        elif stage == "groups" and name in of:
            if of[name] not in rest:
                raise ValueError(f"{name} is out of its place")
            rest = rest[rest.index(of[name]) :]
            groups[of[name]] += octets
        else:
            stage = "proof"
            if name not in PROOF or name in proof:
                raise ValueError(f"{name} is out of its place")
            proof[name] = value
    if stage != "proof":
        raise ValueError("no proof")
    salts, erased = {}, proof.get("erased", {})
    if "seed" in proof:
        derived = hashlib.sha512(unhex(proof["seed"], 16)).digest()
        salts = {name: derived[at * 16 : at * 16 + 16] for at, name in enumerate(GROUPS)}
    salts |= {name: unhex(salt, 16) for name, salt in proof.get("salts", {}).items()}
    committed = b""
    for name, octets in groups.items():
        if name in erased:
            if octets:
                raise ValueError(f"{name} is erased and there")
            committed += unhex(erased[name], 32)
        else:
            committed += hashlib.sha256(salts[name] + octets).digest() if octets else bytes(32)
    before = unhex(proof["chain"], 32)
    hashed = before + proof["n"].to_bytes(8, "big") + committed + public
    return hashlib.sha256(hashed).digest(), proof["n"], before


def read_checkpoints(lines, place, key):
    """The checkpoints whose signatures hold, with the hashes of their lines."""
    good = []
    for number, line in enumerate(lines, 1):
        if not line.endswith(b"\n"):
            continue  # a crash left half of it
        covered, _, rest = line.rstrip(b"\n").partition(b',"signature":"')
        try:
            key.verify(unhex(rest[:-2].decode(), 64), covered)
            good.append((json.loads(line), hashlib.sha256(line.rstrip(b"\n")).hexdigest()))
        except (InvalidSignature, ValueError):
            fault(f"{place}:{number}", "the signature does not hold")
    return good


def check_folder(folder, key, elsewhere):
    heads, follows, dropped, hashes, before = {}, set(), set(), {}, None
    for path in sorted(folder.glob("checkpoints-??????.jsonl")):
        for checkpoint, line_hash in read_checkpoints(
            path.read_bytes().splitlines(keepends=True), path.name, key
        ):
            if checkpoint["before"] != (before or "0" * 64):
                fault(path.name, f"checkpoint {checkpoint['number']} does not follow the one before it")
            before = hashes[checkpoint["number"]] = line_hash
            for end in checkpoint["chains"]:
                heads[bytes.fromhex(end["head"])] = end
            for one in checkpoint.get("dropped", []):
                dropped.add(one["segment"])
                follows.add(bytes.fromhex(one["follows"]))
    for path in elsewhere:
        for checkpoint, line_hash in read_checkpoints(path.read_bytes().splitlines(keepends=True), path, key):
            if hashes.get(checkpoint["number"]) != line_hash:
                fault(path, f"checkpoint {checkpoint['number']} is not beside the records")
    if not hashes:
        fault(folder, "there is no checkpoint")
    segments = {}
    for path in folder.iterdir():
        if path.suffix == ".zst" and path.with_suffix("").exists():
            continue  # it is being packed just now
        if match := SEGMENT.fullmatch(path.name):
            begun, worker, number, _ = match.groups()
            segments.setdefault(int(worker or 0), []).append((begun, int(number), path))
    seen, records = set(), 0
    for worker, files in segments.items():
        expected, count = None, 0
        for begun, number, path in sorted(files):
            name = f"records-{begun}-{f'w{worker}-' if worker else ''}{number:04d}.jsonl"
            with opened(path) as lines:
                for at, line in enumerate(lines, 1):
                    if not line.endswith(b"\n"):
                        continue  # the end of what a crash left
                    records += 1
                    try:
                        own, n, chained = digest(line.rstrip(b"\n"))
                    except (ValueError, KeyError, IndexError, TypeError, AttributeError) as error:
                        fault(f"{name}:{at}", f"no record with a proof: {error}")
                        expected, count = None, count + 1
                        continue
                    if at == 1 and n == 1:
                        fits = chained == hashlib.sha256(b"record chain " + name.encode()).digest()
                    elif at == 1 and not count:
                        fits = chained in follows
                    else:
                        fits = n == count + 1 and expected in (None, chained)
                    if not fits:
                        fault(f"{name}:{at}", "it does not follow what stands before it")
                    expected, count = own, n
                    seen.add(own)
    for head, end in heads.items():
        if head not in seen and end["segment"] not in dropped:
            fault(end["segment"], f"it does not have the {end['records']} records that were signed")
    return records, len(hashes)


def main(words):
    if len(words) < 2:
        sys.exit(__doc__)
    key = load_pem_public_key(Path(words[1]).read_bytes())
    records, checkpoints = check_folder(Path(words[0]), key, [Path(word) for word in words[2:]])
    for said in faults:
        print(said)
    print(f"{records} records, {checkpoints} checkpoints, {len(faults)} faults")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
