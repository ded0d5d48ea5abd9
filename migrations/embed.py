"""Writes the migrations as C byte arrays with their checksums: embed.py OUT.c NNNN_name.sql ...

Byte arrays, because a C string literal may not be longer than 4,095 characters.
"""
import hashlib
import pathlib
import sys


def main(out, *files):
    arrays, rows = [], []
    for path in sorted(map(pathlib.Path, files), key=lambda p: p.name):
        number, name = path.stem.split("_", 1)
        data = path.read_bytes()
        body = ",".join(str(byte) for byte in data + b"\0")
        arrays.append(f"static const char sql_{number}[] = {{{body}}};")
        checksum = hashlib.sha256(data).hexdigest()
        rows.append(f'\t{{{int(number)}, "{name}", sql_{number}, "{checksum}"}},')
    lines = ['/* Made from migrations/ by embed.py. */', '#include "index/migrate.h"', '']
    lines += arrays
    lines += ['', 'const struct ist_migration ist_migrations[] = {', *rows,
              '\t{0, NULL, NULL, NULL},', '};', '']
    pathlib.Path(out).write_text("\n".join(lines))


main(*sys.argv[1:])
