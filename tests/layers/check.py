#!/usr/bin/env python3
"""The house's rules that a program can check, one a function, over the source files.

check.py RULE ROOT runs one of them, prints each breach as file:line: text and exits 1 if there is
one. Files are found by walking the folders, so that an unpacked archive can be checked, too.
"""
import bisect
import os
import re
import shutil
import subprocess
import sys

FOLDERS = ('core', 'index', 'server', 'tests', 'deploy')
C_ENDINGS = ('.c', '.h', '.cpp')
TEXT_ENDINGS = C_ENDINGS + ('.py', '.sh', '.sql', '.js', '.jsx', '.mjs', '.css', '.html')

# Which layers a file may include from, by the layer it is in; tests may see everything.
ALLOWED = {'core': {'core'}, 'index': {'core', 'index'}, 'server': {'core', 'index', 'server'}}
# Inside core: what the lower rooms may not see.
CORE_ORDER = ('base', 'blas', 'onednn', 'tensor', 'encode', 'methods', 'train')
# Libraries that stay inside one layer.
LIBRARIES = {
    'oneapi/': {'core'},
    'faiss/': {'index'},
    'sqlite3.h': {'index'},
    'roaring/': {'index'},
    'microhttpd.h': {'server'},
    'curl/': {'server'},
    'archive.h': {'server'},
}
BANNED = 'strcpy strcat sprintf vsprintf atoi atof atol strtok gets alloca'
MAX_LINES, MAX_COLUMNS, TAB = 1000, 100, 8

COMMENT = r'/\*.*?\*/|//[^\n]*'
STRING = r'"(?:\\.|[^"\\\n])*"' + r"|'(?:\\.|[^'\\\n])*'"


def source_files(root, endings):
    for folder in FOLDERS:
        for place, folders, names in os.walk(os.path.join(root, folder)):
            folders[:] = sorted(f for f in folders if not f.startswith('.') and f != '__pycache__')
            for name in sorted(names):
                if name.endswith(endings):
                    yield os.path.relpath(os.path.join(place, name), root)
    yield from (name for name in sorted(os.listdir(root)) if name.endswith(endings))


def read(root, path):
    with open(os.path.join(root, path), encoding='utf-8') as file:
        return file.read()


def line_finder(text):
    starts = [0] + [m.end() for m in re.finditer('\n', text)]
    return lambda offset: bisect.bisect_right(starts, offset)


def blank(match):
    """Spaces in a match's place: offsets and lines stay."""
    return re.sub(r'[^\n]', ' ', match.group())


def code_only(text):
    """C without its comments and strings."""
    return re.sub(f'{COMMENT}|{STRING}', blank, text, flags=re.S)


def room(path):
    """('core', 'base') of core/base/error.h; ('index', '') of index/store.c."""
    parts = path.split('/')
    return parts[0], parts[1] if len(parts) > 2 else ''


def include_breach(path, quoted, name):
    layer, inner = room(path)
    if layer not in ALLOWED:
        return None
    for prefix, layers in LIBRARIES.items():
        if name.startswith(prefix) and layer not in layers:
            return f'{layer}/ may not see {name}'
    if not quoted:
        return None
    if name.split('/')[0] not in ALLOWED:
        return f'"{name}" is not written from the root'
    their_layer, their_inner = room(name)
    if their_layer not in ALLOWED[layer]:
        return f'{layer}/ may not see {their_layer}/: {name}'
    if layer == their_layer == 'core' and inner in CORE_ORDER and \
            CORE_ORDER.index(their_inner) > CORE_ORDER.index(inner):
        return f'core/{inner} may not see core/{their_inner}: {name}'
    return None


def includes(root):
    for path in source_files(root, C_ENDINGS):
        text = re.sub(COMMENT, blank, read(root, path), flags=re.S)
        at = line_finder(text)
        for match in re.finditer(r'^[ \t]*#[ \t]*include[ \t]*(["<])([^">\n]+)', text, re.M):
            breach = include_breach(path, match.group(1) == '"', match.group(2))
            if breach:
                yield f'{path}:{at(match.start())}: {breach}'


def banned(root):
    call = re.compile(r'\b(' + '|'.join(BANNED.split()) + r')\s*\(')
    for path in source_files(root, C_ENDINGS):
        text = code_only(read(root, path))
        at = line_finder(text)
        for match in call.finditer(text):
            yield f'{path}:{at(match.start())}: {match.group(1)} is banned'


def headings(root):
    for path in source_files(root, C_ENDINGS):
        if not re.match(r'/\*\s*(\*\s*)?[^\s*/]', read(root, path)):
            yield f'{path}:1: no comment at the head that says what the file is for'


def sizes(root):
    for path in source_files(root, TEXT_ENDINGS):
        if path.startswith('tests/fixtures/'):  # dumps, kept as the programs wrote them
            continue
        lines = read(root, path).split('\n')
        if len(lines) > MAX_LINES + 1:
            yield f'{path}:{len(lines)}: more than {MAX_LINES} lines'
        for number, line in enumerate(lines, 1):
            if len(line.expandtabs(TAB)) > MAX_COLUMNS:
                yield f'{path}:{number}: more than {MAX_COLUMNS} columns'
            if line != line.rstrip():
                yield f'{path}:{number}: space at the end of the line'


def clang_format(root):
    if not shutil.which('clang-format'):
        print('clang-format is not installed')
        sys.exit(77)  # meson: skipped
    files = list(source_files(root, C_ENDINGS))
    half = (len(files) + 1) // 2
    runs = [subprocess.Popen(['clang-format', '--dry-run', '-Werror', *part], cwd=root, text=True,
                             stderr=subprocess.PIPE)
            for part in (files[:half], files[half:]) if part]
    for run in runs:
        for line in run.communicate()[1].split('\n'):
            if ': error: ' in line:
                yield line
        if run.returncode not in (0, 1):
            yield f'clang-format ended with {run.returncode}'


RULES = {'includes': includes, 'banned': banned, 'headings': headings, 'sizes': sizes,
         'format': clang_format}


def main():
    rule, root = sys.argv[1:]
    files = sum(1 for _ in source_files(root, C_ENDINGS))
    if files == 0:
        sys.exit(f'no source files under {root}')
    breaches = list(RULES[rule](root))
    print(*breaches, sep='\n', end='\n' if breaches else '')
    print(f'{rule}: {files} files, {len(breaches)} breaches')
    sys.exit(1 if breaches else 0)


if __name__ == '__main__':
    main()
