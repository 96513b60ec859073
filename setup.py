"""Packaging: `tosca/` and `templates/` are mapped into the package as meghdwar.tosca and meghdwar.templates."""

from pathlib import Path

from setuptools import find_packages, setup

DRIVER = [
    "SQLAlchemy>=2.0.30,<3",
    "alembic>=1.13,<2",
    "cryptography>=45",
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
    "keystonemiddleware>=10.7,<14",
    "oslo.config>=9.6,<11",
    "oslo.policy>=4.4,<7",
]
COMPLETION = ["shtab>=1.7,<2"]
SECOND_OPINION = ["tosca-parser>=2.12,<3", "heat-translator>=3.2,<4"]
DEV = [
    *COMPLETION,
    *POSTGRESQL,
    *LXD,
    *API,
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
        "completion": COMPLETION,
        "second-opinion": SECOND_OPINION,
        "all": [*POSTGRESQL, *LXD, *KVM, *OPENSTACK, *API, *COMPLETION, *SECOND_OPINION],
        "dev": DEV,
    },
    entry_points={"console_scripts": ["mdw-compile = meghdwar.cli.compile:main", "mdw = meghdwar.cli.mdw:main"]},
)
