"""Unpacks members of a wheel, each checked against the hashes in the wheel's own RECORD.

    python3 scripts/wheel.py WHEEL FOLDER PATTERN...

A pattern is a shell pattern over the member's whole path (`*` crosses folders). Exit code 3: the wheel is damaged.
"""

import base64
import csv
import fnmatch
import hashlib
import io
import os
import sys
import zipfile
import zlib

DAMAGED = 3


def unpack(wheel, folder, patterns):
    with zipfile.ZipFile(wheel) as archive:
        record = next(name for name in archive.namelist() if name.endswith(".dist-info/RECORD"))
        hashes = {row[0]: row[1] for row in csv.reader(io.StringIO(archive.read(record).decode())) if row}
        for name in archive.namelist():
            if name.endswith("/") or name == record or not any(fnmatch.fnmatchcase(name, p) for p in patterns):
                continue
            target = os.path.normpath(os.path.join(folder, name))
            if not target.startswith(os.path.normpath(folder) + os.sep):
                raise ValueError(f"{name}: outside of the folder")
            algorithm, _, expected = hashes.get(name, "").partition("=")
            if algorithm not in ("sha256", "sha384", "sha512"):
                raise ValueError(f"{name}: no hash in RECORD")
            digest = hashlib.new(algorithm)
            os.makedirs(os.path.dirname(target), exist_ok=True)
            with archive.open(name) as source, open(target, "wb") as out:
                while chunk := source.read(1 << 20):
                    digest.update(chunk)
                    out.write(chunk)
            if base64.urlsafe_b64encode(digest.digest()).rstrip(b"=").decode() != expected:
                raise ValueError(f"{name}: not what RECORD says")


if __name__ == "__main__":
    try:
        unpack(sys.argv[1], sys.argv[2], sys.argv[3:])
    except (ValueError, StopIteration, EOFError, zipfile.BadZipFile, zlib.error) as error:
        print(f"{os.path.basename(sys.argv[1])} is damaged: {error}", file=sys.stderr)
        sys.exit(DAMAGED)
