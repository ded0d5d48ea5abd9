#!/usr/bin/env python3
"""Makes the web page into bytes of the program.

bundle.py SOURCE OUT.c DEPFILE     SOURCE is this folder

esbuild puts main.jsx and all that it imports into scripts and one style sheet: what `import()`
names (charts, the page of the API) is a script of its own, so that a search does not wait for it.
Names hold a hash of what is in a file, so that browsers may keep it for ever; the page itself,
which names them, is asked for again each time. Each file is embedded as brotli and as gzip. esbuild
and the libraries stand where deploy/setup has put them, by the lock file's hash: nothing is fetched
here.
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
    """Bundles into `out`; what esbuild tells of it."""
    programs = sorted(modules.glob('@esbuild/*/bin/esbuild'))
    if not programs:
        sys.exit(f'there is no esbuild in {modules}')
    meta = out / 'meta.json'
    subprocess.run(
        [programs[0], source / 'src' / 'main.jsx', '--bundle', '--minify', '--format=esm',
         '--splitting', '--entry-names=app.[hash]', '--chunk-names=[name].[hash]',
         '--target=es2022', '--jsx=automatic', '--jsx-import-source=preact', '--charset=utf8',
         '--legal-comments=none', '--log-level=warning', f'--outdir={out}',
         f'--metafile={meta}'],
        check=True, cwd=source, env=dict(os.environ, NODE_PATH=str(modules)))
    return json.loads(meta.read_text())


def links_of(outputs):
    """What index.html names: the style sheet, the script, and the scripts that it begins with."""
    [(script, row)] = [(name, row) for name, row in outputs.items() if row.get('entryPoint')
                       == 'src/main.jsx']
    preloads = [f'<link rel="modulepreload" href="/ui/{os.path.basename(one["path"])}">'
                for one in row['imports'] if one['kind'] == 'import-statement']
    return {'{app.js}': '/ui/' + os.path.basename(script),
            '{app.css}': '/ui/' + os.path.basename(row['cssBundle']),
            '{preloads}': '\n'.join(preloads)}


def assemble(source, modules):
    """[(name, bytes)] with the page first, and what it was made of."""
    icon = (source / 'icon.svg').read_bytes()
    icon_name = f'icon.{hashlib.sha256(icon).hexdigest()[:8]}.svg'
    page = (source / 'index.html').read_text()
    with tempfile.TemporaryDirectory() as folder:
        out = pathlib.Path(folder)
        meta = run_esbuild(source, modules, out)
        ready = [(name, (out / name).read_bytes())
                 for name in sorted(os.path.basename(path) for path in meta['outputs'])]
    links = links_of(meta['outputs'])
    for place, text in {**links, '{icon.svg}': '/ui/' + icon_name}.items():
        page = page.replace(place, text)
    if left := re.search(r'\{\S+\}', page):
        sys.exit(f'index.html: {left.group()} is no file')
    inputs = [str((source / path).resolve()) for path in meta['inputs']]
    inputs += [str(source / name) for name in
               ('index.html', 'icon.svg', 'package-lock.json', 'bundle.py')]
    return [('index.html', page.encode()), (icon_name, icon)] + ready, inputs


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
