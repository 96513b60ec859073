"""Senlin's own classes say whether they accept a spec. Runs inside a venv with senlin; needs no cloud.

One line in, one line out: a JSON list of {kind: profile|policy, name, spec} answered by a list of
{name, accepted, errors}. Values that only a running stack knows (`known-when-created`) pass any check.
"""

import json
import logging
import os
import sys
import warnings

warnings.simplefilter("ignore")
logging.disable(logging.CRITICAL)
ANSWERS = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)

from oslo_config import cfg  # noqa: E402
from senlin.common import context, schema  # noqa: E402
from senlin.engine import environment  # noqa: E402
from senlin.profiles import base as profiles  # noqa: E402

UNKNOWN = "known-when-created"


def prepare():
    cfg.CONF([], project="senlin", default_config_files=[], default_config_dirs=[])
    environment.initialize()
    profiles.Profile._init_context = lambda self: {}  # it would ask the cloud for the service's own credentials
    for kind in {schema.SchemaBase, *subclasses(schema.SchemaBase)}:
        let_unknown_pass(kind)


def subclasses(kind):
    for sub in kind.__subclasses__():
        yield sub
        yield from subclasses(sub)


def let_unknown_pass(kind):
    """A value that is not known yet is neither right nor wrong."""
    for name in ("validate", "resolve"):
        own = kind.__dict__.get(name)
        if own is None:
            continue

        def method(self, value, *args, _own=own, **kwargs):
            if isinstance(value, str) and value == UNKNOWN:
                return value
            return _own(self, value, *args, **kwargs)

        setattr(kind, name, method)


def judge(case):
    errors = []
    spec = case["spec"]
    try:
        kind, version = schema.get_spec_version(spec)
        known = environment.global_env()
        find = known.get_profile if case["kind"] == "profile" else known.get_policy
        made = find(f"{kind}-{version}")(case["name"], spec)
        if case["kind"] == "profile":
            made.validate()
        else:
            made.validate(context.RequestContext(project_id="p", user_id="u"))
    except TypeError as error:
        if UNKNOWN not in json.dumps(spec):  # a policy may compare a value that is not known yet
            errors.append(f"TypeError: {error}")
    except Exception as error:
        errors.append("{}: {}".format(type(error).__name__, " ".join(str(error).split())))
    return {"name": case["name"], "accepted": not errors, "errors": errors}


def main():
    prepare()
    for line in sys.stdin:
        ANSWERS.write(json.dumps([judge(case) for case in json.loads(line)]) + "\n")
        ANSWERS.flush()


if __name__ == "__main__":
    main()
