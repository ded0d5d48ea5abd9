#!/usr/bin/env python3
"""check.py finds what it is for: each rule against a small tree with one breach of it."""
import importlib.util
import os
import sys
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
spec = importlib.util.spec_from_file_location('check', os.path.join(HERE, 'check.py'))
sys.dont_write_bytecode = True
check = importlib.util.module_from_spec(spec)
spec.loader.exec_module(check)

HEAD = '/*\n * What it is for.\n */\n'
CASES = [
    # rule, file, text, part of the breach (None: there is none)
    ('includes', 'core/base/a.c', '#include "index/store.h"\n', 'core/ may not see index/'),
    ('includes', 'core/base/a.c', '# include "server/http.h"\n', 'core/ may not see server/'),
    ('includes', 'core/base/a.c', '#include "core/train/train.h"\n', 'core/base may not see'),
    ('includes', 'index/a.c', '#include "server/http.h"\n', 'index/ may not see server/'),
    ('includes', 'server/a.c', '#include <sqlite3.h>\n', 'server/ may not see sqlite3.h'),
    ('includes', 'server/a.c', '#include <faiss/IndexHNSW.h>\n', 'may not see faiss/'),
    ('includes', 'core/base/a.c', '#include "error.h"\n', 'not written from the root'),
    ('includes', 'core/train/a.c', '#include "core/base/error.h"\n', None),
    ('includes', 'core/a.c', '/*\n#include "index/store.h"\n*/\n', None),
    ('includes', 'server/a.c', '#include "index/store.h"\n#include <microhttpd.h>\n', None),
    ('banned', 'core/a.c', 'void f(void) { strcpy(a, b); }\n', 'core/a.c:1: strcpy is banned'),
    ('banned', 'core/a.c', '\nint x = atoi (s);\n', 'core/a.c:2: atoi is banned'),
    ('banned', 'core/a.c', '/* strcpy(a, b) */ char *s = "gets(x)"; snprintf(s);\n', None),
    ('headings', 'core/a.c', '#include <stdio.h>\n', 'core/a.c:1: no comment'),
    ('headings', 'core/a.c', '/* */\nint a;\n', 'core/a.c:1: no comment'),
    ('headings', 'core/a.c', HEAD, None),
    ('sizes', 'core/a.c', 'int a;\n' * 1001, 'more than 1000 lines'),
    ('sizes', 'core/a.c', 'int a;\n' * 1000, None),
    ('sizes', 'core/a.c', '\t' * 12 + 'int a;\n', 'core/a.c:1: more than 100 columns'),
    ('sizes', 'core/a.c', 'int a; \n', 'space at the end'),
]


class Rules(unittest.TestCase):
    def test_cases(self):
        for rule, path, text, want in CASES:
            with self.subTest(rule=rule, text=text[:40]), tempfile.TemporaryDirectory() as root:
                os.makedirs(os.path.dirname(os.path.join(root, path)))
                with open(os.path.join(root, path), 'w', encoding='utf-8') as file:
                    file.write(text)
                got = list(check.RULES[rule](root))
                self.assertEqual(len(got), 1 if want else 0, got)
                if want:
                    self.assertIn(want, got[0])


if __name__ == '__main__':
    unittest.main()
