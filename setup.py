"""Packaging: `tosca/` and `templates/` are mapped into the package as meghdwar.tosca and meghdwar.templates."""

from pathlib import Path

from setuptools import find_packages, setup

DRIVER = [
    "SQLAlchemy>=2.0.30,<3",
    "alembic>=1.13,<2",
    "cryptography>=45,<51",
    "prometheus-client>=0.20,<1",
    "rich>=13,<16",
    "tooz>=6,<9",
]
POSTGRESQL = [*DRIVER, "psycopg[binary]>=3.1,<4"]
LXD = [*DRIVER, "pylxd>=2.3.2,<3"]
KVM = [*DRIVER, "libvirt-python>=9"]
OPENSTACK = ["openstacksdk>=4,<5", "python-heatclient>=5,<6"]
API = [
    *DRIVER,
    "Flask>=3,<4",
    "gunicorn>=23,<28",
    "jsonschema>=4.20,<5",
    "jsonschema-rs>=0.40,<1",
    "keystonemiddleware>=10.7,<14",
    "oslo.config>=9.6,<11",
    "oslo.policy>=4.4,<7",
]
OSC = ["osc-lib>=3,<5"]
COMPLETION = ["shtab>=1.7,<2"]
SECOND_OPINION = ["tosca-parser>=2.12,<3", "heat-translator>=3.2,<4"]
DEV = [
    *COMPLETION,
    *POSTGRESQL,
    *LXD,
    *API,
    *OSC,
    "python-openstackclient>=7,<12",
    "schemathesis>=4,<5",
    "hypothesis>=6.100,<7",
    "import-linter>=2,<3",
    "jsonschema>=4.20,<5",
    "mypy>=1.11,<3",
    "pymemcache>=4,<5",
    "pytest>=8,<10",
    "pytest-xdist>=3.6,<4",
    "ruff>=0.6,<1",
    "types-PyYAML",
    "types-jsonschema",
]

# openstack edge ... -> the class of meghdwar.osc.v1 that does it
OPENSTACK_EDGE = {
    "application_create": "application:Create",
    "application_delete": "application:Delete",
    "application_list": "application:List",
    "application_show": "application:Show",
    "cloudlet_build": "cloudlet:Build",
    "cloudlet_delete": "cloudlet:Delete",
    "cloudlet_heal": "cloudlet:Heal",
    "cloudlet_list": "cloudlet:List",
    "cloudlet_show": "cloudlet:Show",
    "cloudlet_start": "cloudlet:Start",
    "cloudlet_stop": "cloudlet:Stop",
    "gateway_check": "gateway:Check",
    "gateway_create": "gateway:Create",
    "gateway_delete": "gateway:Delete",
    "gateway_list": "gateway:List",
    "gateway_show": "gateway:Show",
    "move_create": "operation:Move",
    "move_list": "operation:ListMoves",
    "move_resume": "operation:Resume",
    "move_rollback": "operation:Rollback",
    "move_show": "operation:ShowMove",
    "move_watch": "operation:WatchMove",
    "operation_list": "operation:List",
    "operation_resume": "operation:Resume",
    "operation_rollback": "operation:Rollback",
    "operation_show": "operation:Show",
    "operation_watch": "operation:Watch",
    "package_delete": "package:Delete",
    "package_download": "package:Download",
    "package_list": "package:List",
    "package_onboard": "package:Onboard",
    "package_set": "package:Set",
    "package_show": "package:Show",
    "sighting_create": "gateway:Sight",
}

setup(
    name="meghdwar",
    version="0.1.0.dev0",
    description="The Edge Cloud Gateway: TOSCA to Heat and Senlin; stateful cloudlets follow their subscribers",
    long_description=Path("README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    python_requires=">=3.11",
    packages=[*find_packages(include=["meghdwar", "meghdwar.*"]), "meghdwar.tosca", "meghdwar.templates"],
    package_dir={"meghdwar.tosca": "tosca", "meghdwar.templates": "templates"},
    package_data={
        "meghdwar": ["py.typed"],
        "meghdwar.api": ["*.yaml"],
        "meghdwar.driver.migrations": ["*.mako"],
        "meghdwar.heat_plugin": ["README.md"],
        "meghdwar.tosca": ["**/*.yaml", "examples/scripts/*.sh", "examples/images/**/*"],
        "meghdwar.templates": ["**/*.j2"],
    },
    install_requires=["PyYAML>=6.0.1,<7", "jinja2>=3.1,<4"],
    extras_require={
        "driver": DRIVER,
        "postgresql": POSTGRESQL,
        "lxd": LXD,
        "kvm": KVM,
        "openstack": OPENSTACK,
        "api": API,
        "osc": OSC,
        "completion": COMPLETION,
        "second-opinion": SECOND_OPINION,
        "all": [*POSTGRESQL, *LXD, *KVM, *OPENSTACK, *API, *OSC, *COMPLETION, *SECOND_OPINION],
        "dev": DEV,
    },
    entry_points={
        "console_scripts": ["mdw-compile = meghdwar.cli.compile:main", "mdw = meghdwar.cli.mdw:main"],
        "openstack.cli.extension": ["edge = meghdwar.osc.plugin"],
        "openstack.edge.v1": [f"edge_{command} = meghdwar.osc.v1.{place}" for command, place in OPENSTACK_EDGE.items()],
    },
)
