"""Start a worker from a plain folder: ``PYTHON -I boot.py ADAPTERS_DIR ADAPTER[%VARIABLE=VALUE...] [options]``, or have
the cases of another project's tests written: ``--peer NAME`` in the place of the adapter.

The folder with the adapters becomes the package ``lossproof.adapters`` without being on ``sys.path``, where its
``numpy.py`` would hide the real one. So an interpreter needs numpy and the framework, and no lossproof. If it has one,
of whatever version, the adapters are still those of the folder.
"""

import importlib
import importlib.util
import json
import os
import re
import sys
import types

PARENT, CHILD = "lossproof", "adapters"
# What the engine takes for an interpreter that will not do, and not for a crash (EX_CONFIG of sysexits.h).
UNSUITABLE = 78


def graft(folder: str) -> None:
    """Make a folder the package ``lossproof.adapters`` of this process."""
    if importlib.util.find_spec(PARENT) is not None:
        parent = importlib.import_module(PARENT)
    else:
        parent = types.ModuleType(PARENT)
        setattr(parent, "__path__", [])  # noqa: B010 (a module's attribute that type checkers do not know)
        sys.modules[PARENT] = parent
    name = PARENT + "." + CHILD
    init = os.path.join(folder, "__init__.py")
    spec = importlib.util.spec_from_file_location(name, init, submodule_search_locations=[folder])
    if spec is None or spec.loader is None or not os.path.isfile(init):
        raise SystemExit("boot.py: %s is not the folder of lossproof's adapters" % folder)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    setattr(parent, CHILD, module)


def check() -> None:
    """End the process with one line if this interpreter cannot run a worker."""
    wrong = ""
    if sys.version_info < (3, 8):  # noqa: UP036 (any interpreter may be named)
        wrong = "Python %s is too old; lossproof's adapters need 3.8 or newer" % sys.version.split()[0]
    elif importlib.util.find_spec("numpy") is None:
        wrong = "numpy is not installed for %s" % sys.executable
    if wrong:
        sys.stderr.write(wrong + "\n")
        raise SystemExit(UNSUITABLE)


def taken_off(adapter: str) -> "tuple[str, dict[str, str]]":
    """Take the environment variables off the name of an adapter: ``torch%ATEN_CPU_CAPABILITY=default``."""
    name, *given = re.split(r"%(?=[A-Za-z_]\w*=)", adapter)
    return name, dict(one.split("=", 1) for one in given)


if __name__ == "__main__":
    if sys.argv[2:3] == ["--sys-path"]:
        # The modules that the engine's own process finds.
        sys.path[:] = json.loads(sys.argv[3])
        del sys.argv[2:4]
    if len(sys.argv) < 3:
        raise SystemExit(
            "usage: PYTHON -I boot.py ADAPTERS_DIR ADAPTER[%VARIABLE=VALUE...] "
            "[--mode MODE] [--device DEVICE] [--after FILE]"
        )
    # Before numpy or a framework is imported, which read them then.
    sys.argv[2], variables = taken_off(sys.argv[2])
    os.environ.update(variables)
    check()
    graft(os.path.abspath(sys.argv[1]))
    what, given = ("peers", sys.argv[3:]) if sys.argv[2] == "--peer" else ("worker", sys.argv[2:])
    importlib.import_module(PARENT + "." + CHILD + "." + what).main(given, variables)
