import os
import sys

collect_ignore = ["test_always_ignored.py", "old"]
collect_ignore_glob = ["*_generated.py"]
if sys.version_info >= (3, 0):
    collect_ignore.append("test_for_the_past.py")
for name in os.listdir(os.path.dirname(__file__)):
    if name.endswith("_computed.py"):
        collect_ignore.append(name)
