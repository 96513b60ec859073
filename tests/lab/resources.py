"""What the lab's cloud has for its users: zones, a flavor, an image, networks, a volume type. As identity.py is run.

`resources.py TABLE`, where TABLE is a JSON file with the hosts, the folder of the image and the addresses outside.
"""

import json
import subprocess
import sys
import time

import openstack

with open(sys.argv[1]) as file:
    table = json.load(file)
admin, demo = openstack.connect(cloud="lab-admin"), openstack.connect(cloud="lab")
HOSTS = set(table["hosts"])


def wait(there, what):
    end = time.time() + 180
    while not there():
        if time.time() > end:
            raise SystemExit(f"cannot go on: {what} did not come up")
        time.sleep(0.5)


wait(
    lambda: {s.host for s in admin.compute.services() if s.binary == "nova-compute" and s.state == "up"} >= HOSTS,
    "nova-compute",
)
aggregates = {found.name: found for found in admin.compute.aggregates()}
for host in sorted(HOSTS):
    if host not in aggregates:
        subprocess.run(["nova-manage", "--config-file", table["nova"], "cell_v2", "discover_hosts"], check=True)
        aggregates[host] = admin.compute.create_aggregate(name=host, availability_zone=host)
    if host not in (aggregates[host].hosts or []):
        admin.compute.add_host_to_aggregate(aggregates[host], host)
if not admin.compute.find_flavor("m1.tiny"):
    admin.compute.create_flavor(name="m1.tiny", ram=128, vcpus=1, disk=1, flavor_id="1")

if not any(found.name == "lab" for found in admin.block_storage.types()):
    kind = admin.block_storage.create_type(name="lab")
    admin.block_storage.update_type_extra_specs(kind, volume_backend_name="lab")


def image(name, file, form, **more):
    found = admin.image.find_image(name)
    container = form if form in ("aki", "ari") else "bare"
    return found or admin.create_image(
        name, filename=file, disk_format=form, container_format=container, visibility="public", wait=True, **more
    )


kernel = image(f"kernel-{table['guest']}", f"{table['images']}/vmlinuz", "aki")
initrd = image(f"initrd-{table['guest']}", f"{table['images']}/initrd", "ari")
blank = f"{table['images']}/blank.raw"
with open(blank, "wb") as file:
    file.truncate(2**20)
boots = {"kernel_id": kernel.id, "ramdisk_id": initrd.id, "os_command_line": "console=ttyS0"}
for name in table["names"]:  # an image is told by its name; what it boots may have changed
    found = admin.image.find_image(name)
    if found and found.properties.get("kernel_id", found.kernel_id) != kernel.id:
        admin.image.delete_image(found)
    image(name, blank, "raw", **boots)

wait(
    lambda: (
        {a.host for a in admin.network.agents() if a.is_alive and a.agent_type == "Linux bridge agent"} >= HOSTS
        and {a.agent_type for a in admin.network.agents() if a.is_alive} >= {"DHCP agent", "L3 agent"}
    ),
    "the network agents",
)
inside = demo.network.find_network("lab-net") or demo.network.create_network(name="lab-net")
subnet = demo.network.find_subnet("lab-subnet") or demo.network.create_subnet(
    name="lab-subnet", network_id=inside.id, ip_version=4, cidr="10.77.0.0/24"
)
outside = admin.network.find_network("outside") or admin.network.create_network(
    name="outside",
    is_router_external=True,
    is_shared=True,
    provider_network_type="flat",
    provider_physical_network="outside",
)
if not admin.network.find_subnet("outside-subnet"):
    admin.network.create_subnet(
        name="outside-subnet",
        network_id=outside.id,
        ip_version=4,
        cidr=f"{table['outside']}.0/24",
        gateway_ip=f"{table['outside']}.1",
        is_dhcp_enabled=False,
        allocation_pools=[{"start": f"{table['outside']}.10", "end": f"{table['outside']}.250"}],
    )
if not demo.network.find_router("lab-router"):
    router = demo.network.create_router(name="lab-router", external_gateway_info={"network_id": outside.id})
    demo.network.add_interface_to_router(router, subnet_id=subnet.id)
