"""Who there is in the lab's cloud and where its services are: run by Debian's Python, as often as one likes.

`identity.py TABLE`, where TABLE is a JSON file with the address, the password and the services.
"""

import json
import sys

import openstack

with open(sys.argv[1]) as file:
    table = json.load(file)
identity = openstack.connect(cloud="lab-admin").identity
default = identity.find_domain("default") or identity.find_domain("Default")


def project(name):
    return identity.find_project(name) or identity.create_project(name=name, domain_id=default.id)


def user(name, domain=default):
    found = next(iter(identity.users(name=name, domain_id=domain.id)), None)
    return found or identity.create_user(name=name, password=table["password"], domain_id=domain.id)


def role(name):
    return identity.find_role(name) or identity.create_role(name=name)


def grant(where, who, *roles):
    for name in roles:
        identity.assign_project_role_to_user(where, who, role(name))


service, demo, admins = project("service"), project("demo"), project("admin")
role("heat_stack_user")
administrator = next(iter(identity.users(name="admin")))
grant(admins, administrator, "admin", "member", "heat_stack_owner")
grant(demo, administrator, "admin", "member", "heat_stack_owner")
grant(demo, user("demo"), "member", "reader", "heat_stack_owner")
for name in ("heat", "senlin", "placement", "glance", "neutron", "nova", "cinder"):
    grant(service, user(name), "admin", "service")
stacks = identity.find_domain("heat") or identity.create_domain(name="heat")
identity.assign_domain_role_to_user(stacks, user("heat_domain_admin", stacks), role("admin"))

services = {found.type: found for found in identity.services()}
regions = {found.id for found in identity.regions()}
endpoints = {(found.service_id, found.region_id, found.interface) for found in identity.endpoints()}
for region in table["regions"]:
    if region not in regions:
        identity.create_region(id=region)
for entry in table["services"]:
    found = services.get(entry["type"])
    if found is None:
        found = services[entry["type"]] = identity.create_service(name=entry["name"], type=entry["type"])
    for interface in ("public", "internal", "admin"):
        if (found.id, entry["region"], interface) not in endpoints:
            identity.create_endpoint(
                service_id=found.id, interface=interface, url=entry["url"], region_id=entry["region"]
            )
