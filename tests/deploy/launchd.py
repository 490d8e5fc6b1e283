"""launchd.py FILE...: holds launchd job files to what can be told without a Mac.

launchd ignores a misspelt key in silence and finds a wrong path only when it loads the job, so both are found here.
"""

import os
import plistlib
import re
import sys

# The keys of launchd.plist(5) that these jobs use, and their types.
KEYS = {
    "Label": str,
    "ProgramArguments": list,
    "UserName": str,
    "RunAtLoad": bool,
    "KeepAlive": dict,
    "ThrottleInterval": int,
    "ExitTimeOut": int,
    "ProcessType": str,
    "Umask": int,
    "SoftResourceLimits": dict,
    "HardResourceLimits": dict,
    "EnvironmentVariables": dict,
    "WorkingDirectory": str,
    "StandardErrorPath": str,
}
LIMITS = {"Core", "CPU", "Data", "FileSize", "MemoryLock", "NumberOfFiles", "NumberOfProcesses", "ResidentSetSize", "Stack"}
SECRET = re.compile(r"key|token|secret|password", re.I)
DRAIN_SECONDS = 25


def complaints(path, job):
    for key, value in job.items():
        if type(value) is not KEYS.get(key):
            yield f"{key}: unknown to this check, or of the wrong type"
    if job.get("Label", "") + ".plist" != os.path.basename(path):
        yield "the file is not named as its label"
    if not job.get("ProgramArguments", [""])[0].startswith("/"):
        yield "the program's path is not absolute"
    for text in texts(job):
        if re.search(r"^~|\$\w|\$\{", text):
            yield f"launchd expands nothing: {text}"
        if text.startswith(("/tmp", "/private/tmp")):
            yield f"a folder that everybody may write to: {text}"
    for key in ("WorkingDirectory", "StandardErrorPath"):
        if not job.get(key, "/").startswith("/"):
            yield f"{key} is not absolute"
    for name in job.get("EnvironmentVariables", {}):
        if SECRET.search(name):
            yield f"a secret in a file that everybody may read: {name}"
    if job.get("ExitTimeOut", 20) <= DRAIN_SECONDS:
        yield f"ExitTimeOut must be longer than the drain of {DRAIN_SECONDS} s"
    if job.get("KeepAlive") != {"SuccessfulExit": False}:
        yield "KeepAlive must leave a wanted end alone"
    for limits in (job.get("SoftResourceLimits", {}), job.get("HardResourceLimits", {})):
        if unknown := set(limits) - LIMITS:
            yield f"unknown limits: {unknown}"


def texts(value):
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for inner in value.values():
            yield from texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from texts(inner)


def main(paths):
    bad = 0
    for path in paths:
        with open(path, "rb") as file:
            for complaint in complaints(path, plistlib.load(file)):
                bad += 1
                print(f"{path}: {complaint}")
    # A check that finds nothing in a broken job would be worth nothing.
    broken = {"Label": "x", "ProgramArguments": ["tidegate"], "KeepAliv": {}, "WorkingDirectory": "~/x", "ExitTimeOut": 20}
    assert len(list(complaints("y.plist", broken))) == 7, list(complaints("y.plist", broken))
    return bad > 0


sys.exit(main(sys.argv[1:]))
