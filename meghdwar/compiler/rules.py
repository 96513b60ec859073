"""Every rule that a descriptor can break. A code never changes its meaning and is never used twice.

0xx reading and imports · 1xx grammar, names and types · 2xx values and functions · 3xx the topology ·
4xx edge applications · 5xx targets. `docs/errors/CODE.md` explains each one.
"""

from __future__ import annotations

from meghdwar.diagnostics import Rule, Severity

WARNING = Severity.WARNING

# 001-049 reading
BAD_YAML = Rule("MDW001", "bad-yaml")
DUPLICATE_KEY = Rule("MDW002", "duplicate-key")
EMPTY_DOCUMENT = Rule("MDW003", "empty-document")
SEVERAL_DOCUMENTS = Rule("MDW004", "several-documents")
BAD_KEY = Rule("MDW005", "bad-key")
UNKNOWN_TAG = Rule("MDW006", "unknown-tag")
BAD_ALIAS = Rule("MDW007", "bad-alias")
TOO_MUCH = Rule("MDW008", "too-much")
BAD_ENCODING = Rule("MDW009", "bad-encoding")
BAD_MERGE = Rule("MDW010", "bad-merge")

# 050-099 imports
IMPORT_NOT_FOUND = Rule("MDW050", "import-not-found")
IMPORT_REMOTE = Rule("MDW051", "import-over-the-network")
IMPORT_CYCLE = Rule("MDW052", "import-cycle")
UNKNOWN_REPOSITORY = Rule("MDW053", "unknown-repository")
UNKNOWN_PROFILE = Rule("MDW054", "unknown-profile")
NAME_IMPORTED_TWICE = Rule("MDW055", "name-imported-twice")
IMPORT_OUTSIDE = Rule("MDW056", "import-outside")

# 100-149 grammar
NO_VERSION = Rule("MDW100", "no-version")
UNKNOWN_VERSION = Rule("MDW101", "unknown-version")
UNKNOWN_KEY = Rule("MDW102", "unknown-key")
MISSING_KEY = Rule("MDW103", "missing-key")
WRONG_SHAPE = Rule("MDW104", "wrong-shape")
NOT_A_SERVICE_TEMPLATE = Rule("MDW105", "no-service-template")
PROFILE_WITH_TEMPLATE = Rule("MDW106", "profile-with-service-template")
EMPTY_NAME = Rule("MDW107", "empty-name")

# 150-199 types
UNKNOWN_TYPE = Rule("MDW150", "unknown-type")
TYPE_CYCLE = Rule("MDW151", "type-cycle")
BAD_REFINEMENT = Rule("MDW152", "bad-refinement")
NOT_DERIVED = Rule("MDW153", "type-does-not-fit")
DEFINED_TWICE = Rule("MDW154", "defined-twice", WARNING)

# 230-299 values (200-229: units.py and constraints.py)
WRONG_TYPE = Rule("MDW230", "wrong-type")
LOOSE_TYPE = Rule("MDW231", "loosely-typed", WARNING)
UNKNOWN_PROPERTY = Rule("MDW232", "unknown-property")
MISSING_PROPERTY = Rule("MDW233", "missing-property")
FIXED_PROPERTY = Rule("MDW234", "fixed-property")
UNKNOWN_FUNCTION = Rule("MDW240", "unknown-function")
BAD_ARITY = Rule("MDW241", "wrong-number-of-arguments")
BAD_ARGUMENT = Rule("MDW242", "wrong-argument")
UNKNOWN_INPUT = Rule("MDW243", "unknown-input")
UNKNOWN_REFERENCE = Rule("MDW244", "unknown-reference")
UNKNOWN_PART = Rule("MDW245", "unknown-part")
VALUE_CYCLE = Rule("MDW246", "value-cycle")
TYPES_DIFFER = Rule("MDW247", "types-differ")
FUNCTION_PLACE = Rule("MDW248", "function-out-of-place")

# 300-399 topology
UNKNOWN_NODE = Rule("MDW300", "unknown-node")
UNKNOWN_REQUIREMENT = Rule("MDW301", "unknown-requirement")
UNKNOWN_CAPABILITY = Rule("MDW302", "unknown-capability")
REQUIREMENT_OPEN = Rule("MDW303", "requirement-not-filled", WARNING)
REQUIREMENT_MISMATCH = Rule("MDW304", "requirement-does-not-fit")
TOO_MANY = Rule("MDW305", "requirement-filled-too-often")
UNKNOWN_MEMBER = Rule("MDW306", "unknown-member")
BAD_TARGET = Rule("MDW307", "target-does-not-fit")
UNKNOWN_OPERATION = Rule("MDW308", "unknown-operation")
UNKNOWN_INTERFACE = Rule("MDW309", "unknown-interface")
ARTIFACT_NOT_FOUND = Rule("MDW310", "artifact-not-found")
ARTIFACT_ABSENT = Rule("MDW318", "artifact-absent", WARNING)
BAD_SUBSTITUTION = Rule("MDW311", "bad-substitution")
BAD_WORKFLOW = Rule("MDW312", "bad-workflow")
BAD_COPY = Rule("MDW313", "bad-copy")
REQUIREMENT_CYCLE = Rule("MDW314", "requirement-cycle")
NOTHING_MATCHES = Rule("MDW315", "nothing-matches")
BAD_TRIGGER = Rule("MDW316", "bad-trigger")
BAD_DIRECTIVE = Rule("MDW317", "unknown-directive", WARNING)

# 200-229 units and constraints

# 400-449 edge applications
IN_TWO_CLUSTERS = Rule("MDW400", "gateway-in-two-clusters")
NO_CLUSTER = Rule("MDW401", "cloudlet-in-no-cluster")
WRONG_HYPERVISOR = Rule("MDW402", "wrong-hypervisor")
STATE_CANNOT_TRAVEL = Rule("MDW403", "state-cannot-travel")
NOT_ONE_HOST = Rule("MDW404", "not-one-host")
STATE_OF_TWO = Rule("MDW405", "state-of-two-cloudlets")
STRATEGY_DOES_NOT_FIT = Rule("MDW406", "strategy-does-not-fit")
CELL_TWICE = Rule("MDW407", "cell-served-twice")
NOTHING_TO_BUILD_FROM = Rule("MDW408", "nothing-to-build-from")
ENDPOINT_DOES_NOT_FIT = Rule("MDW409", "endpoint-does-not-fit")
TWO_MOBILITIES = Rule("MDW410", "two-mobility-policies")
BAD_LOCATION = Rule("MDW411", "bad-state-location")
ADDRESS_CLASH = Rule("MDW412", "address-clash")
OVER_CAPACITY = Rule("MDW413", "over-capacity")
TIGHT_CAPACITY = Rule("MDW414", "tight-capacity", WARNING)
NOT_KNOWN_YET = Rule("MDW415", "not-known-when-compiling")
SIZE_DOES_NOT_FIT = Rule("MDW416", "cluster-size-does-not-fit")
EMPTY_CLUSTER = Rule("MDW417", "empty-cluster")
NO_APPLICATION = Rule("MDW418", "cluster-without-application", WARNING)
NOWHERE_TO_GO = Rule("MDW419", "nowhere-to-go", WARNING)
NOTHING_TO_MOVE = Rule("MDW420", "nothing-to-move")
NO_TARGET = Rule("MDW421", "policy-without-cluster")
SHRINKS_OVER_STATE = Rule("MDW422", "shrinks-over-state", WARNING)
NEVER_REACHED = Rule("MDW423", "gateway-never-reached", WARNING)
READY_WITHOUT_PORT = Rule("MDW424", "ready-without-port")
STATE_OF_NOBODY = Rule("MDW425", "state-of-nobody", WARNING)
RESERVED_INPUT = Rule("MDW426", "reserved-input")
ONE_HOST_TWICE = Rule("MDW427", "one-host-twice")
NOT_BUILT = Rule("MDW428", "counts-for-nothing", WARNING)
NO_NETWORK = Rule("MDW429", "gateway-without-network", WARNING)
SIZE_IS_ITS_GATEWAYS = Rule("MDW430", "cluster-size-is-its-gateways", WARNING)

# 450-499 standard nodes
UNMAPPED = Rule("MDW450", "unmapped-type")
NO_SERVER = Rule("MDW451", "no-server-to-run-on")
SHARED_VOLUME = Rule("MDW452", "volume-shared", WARNING)
POLICY_LEFT_OUT = Rule("MDW453", "policy-left-out", WARNING)
BAD_SCALING = Rule("MDW454", "bad-scaling")
UNKNOWN_ATTRIBUTE = Rule("MDW455", "attribute-not-in-stack")
OUTPUT_LEFT_OUT = Rule("MDW456", "output-left-out", WARNING)
FIXED_INPUT = Rule("MDW457", "input-fixed", WARNING)

# 500-549 Senlin and targets
SPEC_UNKNOWN_KEY = Rule("MDW500", "unknown-specification-key")
SPEC_MISSING = Rule("MDW501", "missing-in-specification")
SPEC_WRONG_KIND = Rule("MDW502", "wrong-kind-in-specification")
SPEC_NOT_ALLOWED = Rule("MDW503", "value-not-allowed-in-specification")
SPEC_CONTRADICTION = Rule("MDW504", "contradiction-in-specification")
SPEC_UNKNOWN_TYPE = Rule("MDW505", "unknown-specification-type")
SHORT_INTERVAL = Rule("MDW506", "short-health-interval", WARNING)
POLICY_CANNOT_BIND = Rule("MDW507", "policy-cannot-bind")
POLICY_TWICE = Rule("MDW508", "second-policy-of-a-type")
EVENT_TWICE = Rule("MDW509", "two-policies-for-one-event", WARNING)
RECOVERY_OF_STACKS = Rule("MDW510", "recovery-not-for-standing-gateways")
PLACES_NOTHING = Rule("MDW511", "placement-places-nothing", WARNING)
WATCHES_NOTHING = Rule("MDW512", "health-watches-nothing", WARNING)
NOTHING_TO_GROW = Rule("MDW513", "nothing-to-grow")
TOO_MANY_NODES = Rule("MDW514", "too-many-nodes")
HEAT_WITHOUT_SENLIN = Rule("MDW520", "heat-without-senlin")
UNKNOWN_RELEASE = Rule("MDW521", "unknown-release")
POLICY_NOT_IN_TARGET = Rule("MDW522", "policy-not-in-target", WARNING)
STATE_IN_A_GROUP = Rule("MDW523", "state-in-scaling-group")
NOT_ALIKE = Rule("MDW524", "gateways-not-alike")
ZONES_DROPPED = Rule("MDW525", "zones-dropped", WARNING)

# 550-599 HOT and its limits

# 600-649 inputs from outside
INPUT_NOT_DECLARED = Rule("MDW600", "input-not-declared")
INPUT_BAD_VALUE = Rule("MDW601", "input-bad-value")
