"""Senlin's own schemas of profiles and policies as JSON. Runs inside a venv with senlin; needs no cloud."""

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
from senlin.engine import environment  # noqa: E402


def entry(schema):
    constraints = [constraint.allowed for constraint in schema.constraints if hasattr(constraint, "allowed")]
    inner = dict(schema.schema) if schema.schema else {}
    is_list = schema["type"] == "List"
    return {
        "kind": schema["type"].lower(),
        "required": schema.required,
        "updatable": schema.updatable,
        "default": schema.default,
        "allowed": list(constraints[0]) if constraints else [],
        "fields": {} if is_list else {name: entry(part) for name, part in inner.items()},
        "entry": entry(inner["*"]) if is_list and inner.get("*") is not None else None,
    }


def main():
    cfg.CONF([], project="senlin", default_config_files=[], default_config_dirs=[])
    environment.initialize()
    known = environment.global_env()
    found = {}
    for is_policy, registry in ((True, known.policy_registry), (False, known.profile_registry)):
        for name, plugin in registry._registry.items():
            kind = plugin.plugin if hasattr(plugin, "plugin") else plugin
            found[name] = {
                "fields": {key: entry(schema) for key, schema in kind.properties_schema.items()},
                "profiles": list(kind.PROFILE_TYPE) if is_policy else [],
                "priority": kind.PRIORITY if is_policy else 0,
                "targets": sorted(set(map(tuple, kind.TARGET))) if is_policy else [],
            }
    json.dump(found, ANSWERS)
    ANSWERS.flush()


if __name__ == "__main__":
    sys.exit(main())
