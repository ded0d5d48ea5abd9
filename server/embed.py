"""Writes a file as a C array: embed.py IN OUT NAME HEADER. A string literal that long is no C."""

import sys

source, target, name, header = sys.argv[1:]
data = open(source, 'rb').read()
with open(target, 'w') as out:
    out.write(f'#include "{header}"\n\nconst unsigned char {name}_bytes[] = {{\n')
    for i in range(0, len(data), 20):
        out.write('\t' + ', '.join(str(b) for b in data[i:i + 20]) + ',\n')
    out.write(f'}};\nconst size_t {name}_len = {len(data)};\n')
