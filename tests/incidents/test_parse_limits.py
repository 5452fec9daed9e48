"""Hostile sizes: refused or cut with a notice, within 10 seconds and 300 MB, each in a process of its own."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
HEAD = 'b"From: a@kunde.example\\nTo: s@desk.example\\nSubject: x\\nMessage-ID: <a@b.example>\\nIn-Reply-To: <q@desk.example>\\n"'
MIXED = 'H + b"Content-Type: multipart/mixed; boundary=q\\n\\n"'
HTML = 'H + b"Content-Type: text/html\\n\\n"'
RUN = f"""
import json, sys, time
from incidents.intake.parse import parse
from incidents.intake.parsed import Unacceptable
H, MB = {HEAD}, 1024 * 1024
raw = eval(sys.argv[1])
started = time.perf_counter()
try:
    mail = parse(raw)
    said = list(mail.notices)
except Unacceptable as refused:
    said = ["refused: " + str(refused)]
seconds = time.perf_counter() - started
# Not ru_maxrss: that remembers the process that started this one.
peak = next(line for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(json.dumps([seconds, int(peak.split()[1]) // 1024, said]))
"""
CASES = {
    "60 MB": ('H + b"\\n" + b"hello world line\\n" * (60 * MB // 17)', "refused: The mail is larger"),
    "39 MB of text": ('H + b"\\n" + b"hello world line\\n" * (39 * MB // 17)', "very long"),
    "a file of 39 MB": (f'{MIXED} + b"--q\\nContent-Type: application/pdf; name=a.pdf\\nContent-Transfer-Encoding: base64\\n\\n" + (b"QUJD" * 19 + b"\\n") * (39 * MB // 77) + b"--q--\\n"', ""),
    "10,000 parts": (f'{MIXED} + b"--q\\n\\nhello\\n" * 10**4', "too many parts"),
    "1,000 levels": ('H + b"".join(b"Content-Type: multipart/mixed; boundary=b%d\\n\\n--b%d\\n" % (i, i) for i in range(1000))', "nested too deep"),
    "1,000 levels of 30 MB": ('H + b"".join(b"Content-Type: multipart/mixed; boundary=b%d\\n\\n--b%d\\n" % (i, i) for i in range(1000)) + b"x" * 30 * MB', "nested too deep"),
    "1,000,000 fields": ('H + b"X-A: b\\n" * 10**6 + b"\\nhello"', "too many header fields"),
    "1,000,000 fields in a part": (f'{MIXED} + b"--q\\n" + b"X-A: b\\n" * 10**6 + b"\\nhello"', "too many header fields"),
    "1,000,000 folds": ('H + b"X-A: b\\n" + b" c\\n" * 10**6 + b"\\nhello"', "too long"),
    "a line of 50 MB": ('H + b"\\n" + b"x" * 50 * MB', "refused: The mail is larger"),
    "a line of 39 MB": ('H + b"\\n" + b"x " * (39 * MB // 2)', "very long"),
    "a field of 39 MB": ('H + b"X-A: " + b"x" * 39 * MB + b"\\n\\nhello"', "too long"),
    "100,000 recipients": ('b"To: " + b",\\n ".join(b"u%d@kunde.example" % i for i in range(10**5)) + b"\\n" + H + b"\\nhello"', "too many recipients"),
    "HTML of 100,000 levels": (f'{HTML} + b"<div>" * 10**5 + b"hello"', "nested too deep"),
    "HTML deep and wide": (f'{HTML} + b"<b>" * 1900 + b"<p>x</p>" * 10**5', "nested too deep"),
    "HTML of opened comments": (f'{HTML} + b"<!--" * 500000', ""),
    "a quote that never closes": ("H.replace(b'a@kunde', b'\"\\\\' * 30000) + b'\\nhello'", ""),
    "a boundary that never comes": (f'{MIXED} + b"--qx\\n" * 5 * MB', "boundary"),
    "lines that all may announce a quote": ('H + b"\\n" + b"Bob wrote:\\n> x\\n\\ntext\\n" * 20000', "very long"),
    "labels without end": ('H + b"\\n" + b"From: a\\nTo: b\\n" * 10**5', "very long"),
    "flowed lines": ('H + b"Content-Type: text/plain; format=flowed\\n\\n" + b"a \\n" * 600000', "very long"),
    "comments in a field of ours": ('b"Authentication-Results: mx.desk.example; " + b"(" * 9000 + b"\\n" + H + b"\\nhello"', ""),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_a_hostile_size_is_refused_or_cut_in_time_and_memory(name):
    made, notice = CASES[name]
    done = subprocess.run(
        [sys.executable, "-c", RUN, made], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr[-2000:]
    seconds, megabytes, said = json.loads(done.stdout)
    print(f"{name}: {seconds:.2f} s, {megabytes} MB, {said}")
    assert seconds < 10
    assert megabytes < 300
    assert not notice or any(notice in line for line in said)
