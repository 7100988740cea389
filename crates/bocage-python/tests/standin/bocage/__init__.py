"""A stand-in for the native half: one new process is the worker.

It carries what ``_definitions`` makes to ``_worker`` as the runtime does, one
behavior at a time and waiting for each, so that these two can be tested alone.
"""

import pickle
import subprocess
import sys
import traceback
from pathlib import Path

__path__.append(str(Path(__file__).resolve().parents[3] / "python" / "bocage"))


class Cown:
    def __init__(self, value):
        self.value = value
        self.mark = id(self)


sys.modules["bocage._bocage"] = sys.modules[__name__]
built = {}


def when(*cowns):
    def schedule(func):
        return whencall(func, [cown.value for cown in cowns], ())

    return schedule


def whencall(func, arguments, captures):
    from bocage import _definitions

    home = _definitions.home_of(func)
    ran = home.look()
    behavior = _definitions.describe(func)
    reaches = [_definitions.reach(home, behavior)]
    early = _definitions.at_build(home)
    sent = {}
    for name, value in early.values:
        try:
            sent[name] = ("value", pickle.dumps(value))
        except Exception:
            continue
    for at_hand in reaches:
        for name, value in at_hand.values:
            try:
                sent[name] = ("value", pickle.dumps(value))
            except Exception as error:
                reaches.append(_definitions.instead_of(home, name, error))
    for at_hand in [early, *reaches]:
        for name, packed in at_hand.packed:
            sent[name] = ("packed", packed.record, pickle.dumps(packed.values))
    if behavior.captures:
        missing = len(behavior.positional) - len(arguments) - len(captures)
        captures = [*captures, *(func.__defaults__ or ())[-missing:]] if missing else captures
    job = {
        "path": sys.path,
        "argv": sys.argv,
        "key": home.key,
        "payload": home.payload,
        "ran": ran,
        "sent": sent,
        "update": [name for each in reaches for name in sent if name in dict(each.values) or name in dict(each.packed)],
        "needs": [name for each in reaches for name in each.needs],
        "record": behavior.record,
        "values": pickle.dumps(behavior.values),
        "arguments": pickle.dumps((*arguments, *captures)),
        "keywords": pickle.dumps(func.__kwdefaults__ or {} if behavior.captures else {}),
    }
    code = "import bocage; bocage.be_worker()"
    ran = subprocess.run([sys.executable, "-c", code], input=pickle.dumps(job), capture_output=True, timeout=60)
    sys.stderr.write(ran.stderr.decode())
    raised, result = pickle.loads(ran.stdout)
    cown = Cown(result)
    cown.exception = raised
    return cown


def be_worker():
    from bocage import _worker

    job = pickle.load(sys.stdin.buffer)
    output, sys.stdout = sys.stdout, sys.stderr

    def fetch(name):
        kind, record, *values = job["sent"][name]
        return pickle.loads(record) if kind == "value" else _worker.unpack(record, pickle.loads(values[0]))

    _worker.prepare(job["path"], job["argv"], lambda depth: setattr(sys.modules[__name__], "depth", depth))
    try:
        _worker.build(job["payload"], fetch)
        _worker.advance(job["key"], job["ran"])
        _worker.update(job["key"], job["update"])
        _worker.require(job["key"], job["needs"])
        body = _worker.resolve(job["record"], pickle.loads(job["values"]))
        answer = False, body(*pickle.loads(job["arguments"]), **pickle.loads(job["keywords"]))
    except BaseException as error:
        _worker.explain(error)
        answer = True, "".join(traceback.format_exception(error))
    output.buffer.write(pickle.dumps(answer))
