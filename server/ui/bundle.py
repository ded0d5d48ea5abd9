#!/usr/bin/env python3
"""Makes the web page into bytes of the program.

bundle.py SOURCE OUT.c DEPFILE     SOURCE is this folder

esbuild puts main.jsx and all that it imports into one script and one style sheet. Their names hold
a hash of what is in them, so that browsers may keep them for ever; the page itself, which names
them, is asked for again each time. Each file is embedded as brotli and as gzip. esbuild and the
libraries stand where deploy/setup has put them, by the lock file's hash: nothing is fetched here.
"""
import gzip
import hashlib
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile

TYPES = {'.js': 'text/javascript; charset=utf-8', '.css': 'text/css; charset=utf-8',
         '.svg': 'image/svg+xml', '.html': 'text/html; charset=utf-8'}


def modules_of(source):
    """The folder of libraries that belongs to the lock file."""
    lock = (source / 'package-lock.json').read_bytes()
    cache = os.environ.get('XDG_CACHE_HOME') or os.path.expanduser('~/.cache')
    name = 'npm-' + hashlib.sha256(lock).hexdigest()[:12]
    modules = pathlib.Path(cache) / 'isthmus' / name / 'node_modules'
    if not modules.is_dir():
        sys.exit(f'the web page cannot be built: its libraries are not in {modules}; '
                 'deploy/setup installs them')
    return modules


def run_esbuild(source, modules, out):
    """Bundles into `out`; the paths of all that went in."""
    programs = sorted(modules.glob('@esbuild/*/bin/esbuild'))
    if not programs:
        sys.exit(f'there is no esbuild in {modules}')
    meta = out / 'meta.json'
    subprocess.run(
        [programs[0], source / 'src' / 'main.jsx', '--bundle', '--minify', '--format=esm',
         '--target=es2022', '--jsx=automatic', '--jsx-import-source=preact', '--charset=utf8',
         '--legal-comments=none', '--log-level=warning', f'--outdir={out}',
         f'--metafile={meta}'],
        check=True, cwd=source, env=dict(os.environ, NODE_PATH=str(modules)))
    return [str((source / path).resolve()) for path in json.loads(meta.read_text())['inputs']]


def hashed(name, data):
    stem, ending = os.path.splitext(name)
    return f'{stem}.{hashlib.sha256(data).hexdigest()[:12]}{ending}'


def assemble(source, modules):
    """[(name, bytes)] with the page first, and what it was made of."""
    with tempfile.TemporaryDirectory() as folder:
        out = pathlib.Path(folder)
        inputs = run_esbuild(source, modules, out)
        files = {'app.js': (out / 'main.js').read_bytes(),
                 'app.css': (out / 'main.css').read_bytes(),
                 'icon.svg': (source / 'icon.svg').read_bytes()}
    page = (source / 'index.html').read_text()
    ready = []
    for name, data in files.items():
        ready.append((hashed(name, data), data))
        page = page.replace('{' + name + '}', '/ui/' + ready[-1][0])
    if left := re.search(r'\{\S+\}', page):
        sys.exit(f'index.html: {left.group()} is no file')
    inputs += [str(source / name) for name in
               ('index.html', 'icon.svg', 'package-lock.json', 'bundle.py')]
    return [('index.html', page.encode())] + ready, inputs


def packed(data):
    brotli = subprocess.run(['brotli', '-q', '11', '-w', '20', '-c', '-'], input=data, check=True,
                            capture_output=True).stdout
    return brotli, gzip.compress(data, 9, mtime=0)


def c_array(name, data):
    lines = [f'static const unsigned char {name}[] = {{']
    for i in range(0, len(data), 24):
        lines.append('\t' + ','.join(str(b) for b in data[i:i + 24]) + ',')
    return '\n'.join(lines) + '\n};\n'


def main():
    source, target, depfile = pathlib.Path(sys.argv[1]).resolve(), sys.argv[2], sys.argv[3]
    files, inputs = assemble(source, modules_of(source))
    arrays, rows, total = [], [], 0
    for i, (name, data) in enumerate(files):
        brotli, gz = packed(data)
        total += len(brotli)
        arrays += [c_array(f'brotli_{i}', brotli), c_array(f'gzip_{i}', gz)]
        rows.append(f'\t{{"{name}", "{TYPES[os.path.splitext(name)[1]]}", '
                    f'"\\"{hashlib.sha256(data).hexdigest()[:16]}\\"", {len(data)},\n'
                    f'\t {{brotli_{i}, {len(brotli)}}}, {{gzip_{i}, {len(gz)}}}}},\n')
        print(f'{name}: {len(data)} bytes, {len(brotli)} as brotli, {len(gz)} as gzip')
    print(f'the page in all: {total} bytes as brotli')
    with open(target, 'w') as out:
        out.write('#include "server/ui.h"\n\n' + '\n'.join(arrays))
        out.write('\nconst struct ist_ui_file ist_ui_files[] = {\n' + ''.join(rows) + '};\n')
        out.write(f'const size_t ist_n_ui_files = {len(files)};\n')
    with open(depfile, 'w') as out:
        out.write(f'{target}: ' + ' '.join(sorted(set(inputs))) + '\n')


if __name__ == '__main__':
    main()
