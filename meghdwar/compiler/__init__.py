"""TOSCA in, a bundle out: read -> check -> lower -> emit."""
