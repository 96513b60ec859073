"""TOSCA types: the normative ones of every version, the NFV ones, and Meghdwar's own vocabulary."""
