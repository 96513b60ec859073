"""`openstack edge ...`: the commands of the API for the client of OpenStack."""
