#!/usr/bin/env python3
"""Closes a run of `meson test`: names what failed or was skipped, then "N passed, N failed".

count_tests.py TESTLOG reads meson's testlog.json, a JSON object a line. Anything but a pass or a
skip is a failure, a test that timed out or was interrupted included.
"""
import json
import sys


def main():
    with open(sys.argv[1], encoding='utf-8') as log:
        tests = [json.loads(line) for line in log if line.strip()]
    count = {'OK': 0, 'SKIP': 0, 'FAIL': 0}
    for test in tests:
        result = test['result'] if test['result'] in ('OK', 'SKIP') else 'FAIL'
        count[result] += 1
        if result != 'OK':
            print(f"{test['result']}: {test['name']}")
    print(f"{count['OK']} passed, {count['FAIL']} failed")


if __name__ == '__main__':
    main()
