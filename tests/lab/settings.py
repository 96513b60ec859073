"""The configuration of every service, written anew at each `up`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from tests.lab.place import CLOUDS, HEATS, HOSTS, PASSWORD, REGION, Heat, Place

Section = Mapping[str, object]
Settings = dict[str, Section]


def write_all(place: Place) -> None:
    files = [*_base(place), *_keystone(place), *_senlin(place), *_placement(place), *_glance(place)]
    files += [*_neutron(place), *_nova(place), *_cinder(place)]
    for which in HEATS.values():
        files.append((place.etc(which.name) / "heat.conf", ini(heat(place, which))))
    for path, text in files:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    place.clouds.write_text(clouds(place))


def ini(settings: Settings) -> str:
    lines = []
    for name, section in settings.items():
        lines.append(f"[{name}]")
        lines += [f"{key} = {_text(value)}" for key, value in section.items()]
    return "\n".join(lines) + "\n"


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def database(place: Place, name: str) -> str:
    return f"mysql+pymysql://os:{PASSWORD}@{place.address}/{name}?charset=utf8"


# what many services say
def account(place: Place, user: str) -> Section:
    """How a service proves who it is."""
    return {
        "auth_type": "password",
        "auth_url": f"http://{place.address}:5000/v3",
        "username": user,
        "password": PASSWORD,
        "project_name": "service",
        "user_domain_name": "Default",
        "project_domain_name": "Default",
    }


def client(place: Place, user: str) -> Section:
    return {**account(place, user), "region_name": REGION}


def checks_tokens(place: Place, user: str) -> Section:
    return {
        **client(place, user),
        "www_authenticate_uri": f"http://{place.address}:5000/v3",
        "memcached_servers": f"{place.address}:11211",
        "service_token_roles": "service",
        "service_token_roles_required": True,
    }


def broker(place: Place, vhost: str = "/") -> str:
    return f"rabbit://guest:guest@{place.address}:5672/{vhost.lstrip('/')}"


def messages(place: Place, vhost: str = "/") -> Section:
    return {"transport_url": broker(place, vhost), "debug": False, "use_stderr": True}


def rest(place: Place, notifications: str = "noop", vhost: str = "/") -> Settings:
    return {
        "oslo_messaging_rabbit": {"rabbit_quorum_queue": False, "heartbeat_in_pthread": False},
        "oslo_messaging_notifications": {"driver": notifications, "transport_url": broker(place, vhost)},
        "oslo_concurrency": {"lock_path": place.state / "lock"},
        "oslo_policy": {"enforce_scope": False, "enforce_new_defaults": False},
    }


Files = list[tuple[Path, str]]


# service by service
def _base(place: Place) -> Files:
    rabbit = {
        "listeners.tcp.default": f"{place.address}:5672",
        "vm_memory_high_watermark.absolute": "512MB",
        "collect_statistics_interval": 30000,
        "log.file.level": "warning",
        "loopback_users": "none",
    }
    text = "".join(f"{key} = {value}\n" for key, value in rabbit.items())
    return [(place.etc("rabbit") / "rabbitmq.conf", text), (place.etc("rabbit") / "enabled_plugins", "[].\n")]


def _keystone(place: Place) -> Files:
    keys = place.lib("keystone")
    settings: Settings = {
        "DEFAULT": {"use_stderr": True, "max_token_size": 255},
        "database": {"connection": database(place, "keystone")},
        "token": {"provider": "fernet", "expiration": 86400},
        "fernet_tokens": {"key_repository": keys / "fernet-keys"},
        "credential": {"key_repository": keys / "credential-keys"},
        "cache": {
            "enabled": True,
            "backend": "dogpile.cache.pymemcache",
            "memcache_servers": f"{place.address}:11211",
        },
        "trust": {"allow_redelegation": True},
        "identity": {"password_hash_algorithm": "pbkdf2_sha512", "password_hash_rounds": 1000},
        "oslo_policy": {"enforce_scope": False},
    }
    return [(place.etc("keystone") / "keystone.conf", ini(settings))]


def beside(place: Place, which: Heat) -> Path:
    """The folder of what a Heat reads beside its settings."""
    return Path("/etc/heat") if which.release == "debian" else place.state / "venv" / which.release / "etc" / "heat"


def heat(place: Place, which: Heat) -> Settings:
    """`trustee` must not hold a project; what a Heat from PyPI reads beside this lies in its environment."""
    plugins = {"plugin_dirs": Path(__file__).parents[2] / "meghdwar" / "heat_plugin"} if which.plugin else {}
    listens = {"bind_host": place.address, "workers": 1}
    return {
        "DEFAULT": {
            **messages(place, which.vhost),
            "region_name_for_services": REGION,
            "heat_metadata_server_url": f"http://{place.address}:{which.port + 1}",
            "heat_waitcondition_server_url": f"http://{place.address}:{which.port + 1}/v1/waitcondition",
            "stack_user_domain_name": "heat",
            "stack_domain_admin": "heat_domain_admin",
            "stack_domain_admin_password": PASSWORD,
            "deferred_auth_method": "trusts",
            "allow_trusts_redelegation": True,
            "trusts_delegated_roles": "",
            "num_engine_workers": 1,
            "auth_encryption_key": "0123456789abcdef0123456789abcdef",
            "host": which.name,
            "environment_dir": beside(place, which) / "environment.d",
            "template_dir": beside(place, which) / "templates",
            **plugins,
        },
        "paste_deploy": {"api_paste_config": beside(place, which) / "api-paste.ini"},
        "heat_api": {**listens, "bind_port": which.port},
        "heat_api_cfn": {**listens, "bind_port": which.port + 1},
        "clients": {"endpoint_type": "publicURL"},
        "clients_keystone": {"auth_uri": f"http://{place.address}:5000"},
        "ec2authtoken": {"auth_uri": f"http://{place.address}:5000/v3"},
        "database": {"connection": database(place, which.database)},
        "trustee": {key: value for key, value in client(place, "heat").items() if not key.startswith("project_")},
        "keystone_authtoken": checks_tokens(place, "heat"),
        **rest(place, "messagingv2", which.vhost),
    }


def _senlin(place: Place) -> Files:
    settings: Settings = {
        "DEFAULT": {
            **messages(place),
            "host": "lab",
            "default_region_name": REGION,
            "health_check_interval_min": 10,
            "batch_interval": 1,
            "check_interval_max": 60,
        },
        "authentication": {
            "auth_url": f"http://{place.address}:5000/v3",
            "service_username": "senlin",
            "service_password": PASSWORD,
            "service_project_name": "service",
        },
        # its reads give their connection back when Python collects garbage, and no sooner
        "database": {"connection": database(place, "senlin"), "max_pool_size": 20, "max_overflow": 300},
        "senlin_api": {
            "bind_host": place.address,
            "bind_port": 8777,
            "workers": 0,
            "api_paste_config": "/etc/senlin/api-paste.ini",
        },
        "conductor": {"workers": 1, "threads": 100},
        "engine": {"workers": 1, "threads": 200},
        "health_manager": {"workers": 1, "threads": 100},
        "receiver": {"host": place.address, "port": 8777},
        "keystone_authtoken": checks_tokens(place, "senlin"),
        **rest(place),
    }
    return [(place.etc("senlin") / "senlin.conf", ini(settings))]


def _placement(place: Place) -> Files:
    settings: Settings = {
        "DEFAULT": {"use_stderr": True},
        "api": {"auth_strategy": "keystone"},
        "placement_database": {"connection": database(place, "placement")},
        "keystone_authtoken": checks_tokens(place, "placement"),
    }
    return [(place.etc("placement") / "placement.conf", ini(settings))]


def _glance(place: Place) -> Files:
    settings: Settings = {
        "DEFAULT": {
            **messages(place),
            "bind_host": place.address,
            "bind_port": 9292,
            "workers": 0,
            "enabled_import_methods": "[glance-direct,web-download]",
            "node_staging_uri": f"file://{place.lib('glance')}/staging",
        },
        "database": {"connection": database(place, "glance")},
        "paste_deploy": {"flavor": "keystone", "config_file": "/etc/glance/glance-api-paste.ini"},
        "glance_store": {
            "stores": "file",
            "default_store": "file",
            "filesystem_store_datadir": place.lib("glance") / "images",
        },
        "keystone_authtoken": checks_tokens(place, "glance"),
        **rest(place),
    }
    schema = Path("/etc/glance/schema-image.json").read_text()
    return [
        (place.etc("glance") / "glance-api.conf", ini(settings)),
        (place.etc("glance") / "schema-image.json", schema),
    ]


def _neutron(place: Place) -> Files:
    etc = place.etc("neutron")
    server: Settings = {
        "DEFAULT": {
            **messages(place),
            "host": "lab",
            "core_plugin": "ml2",
            "service_plugins": "router,port_forwarding",
            "auth_strategy": "keystone",
            "bind_host": place.address,
            "bind_port": 9696,
            "api_workers": 0,
            "rpc_workers": 1,
            "rpc_state_report_workers": 0,
            "api_paste_config": "/etc/neutron/api-paste.ini",
            "state_path": place.lib("neutron"),
            "dhcp_agents_per_network": 1,
            "notify_nova_on_port_status_changes": True,
            "notify_nova_on_port_data_changes": True,
            "global_physnet_mtu": 1400,
        },
        "experimental": {"linuxbridge": True},
        "database": {"connection": database(place, "neutron")},
        "ml2": {
            "type_drivers": "local,flat",
            "tenant_network_types": "local",
            "mechanism_drivers": "linuxbridge",
            "extension_drivers": "port_security",
        },
        "ml2_type_flat": {"flat_networks": "outside"},
        "agent": {"root_helper": "", "report_interval": 15},
        "securitygroup": {"enable_security_group": True, "enable_ipset": True, "firewall_driver": "iptables"},
        "nova": client(place, "nova"),
        "placement": client(place, "placement"),
        "keystone_authtoken": checks_tokens(place, "neutron"),
        **rest(place),
    }
    bridges: Settings = {
        # both hosts share one network: a bridge is enough, and the rules of one would be undone by the other
        "linux_bridge": {"physical_interface_mappings": "", "bridge_mappings": "outside:br-outside"},
        "vxlan": {"enable_vxlan": False},
        "securitygroup": {"enable_security_group": False, "firewall_driver": "noop"},
        "agent": {"polling_interval": 2},
    }
    dhcp: Settings = {
        "DEFAULT": {"interface_driver": "linuxbridge", "enable_isolated_metadata": False, "resync_interval": 30}
    }
    routers: Settings = {"DEFAULT": {"interface_driver": "linuxbridge", "enable_metadata_proxy": False}}
    files = {"neutron.conf": server, "bridges.ini": bridges, "dhcp.ini": dhcp, "routers.ini": routers}
    files |= {f"{host}.ini": {"DEFAULT": {"host": host}} for host in HOSTS}
    return [(etc / name, ini(settings)) for name, settings in files.items()]


def nova(place: Place, host: str) -> Settings:
    """Of a compute host, or with host "lab" of the services that steer them."""
    computes = host in HOSTS
    databases: Settings = {
        "api_database": {"connection": database(place, "nova_api")},
        "database": {"connection": database(place, "nova")},
    }
    return {
        "DEFAULT": {
            **messages(place),
            "host": host,
            "my_ip": place.address,
            "state_path": place.lib(f"nova-{host}"),
            "enabled_apis": "osapi_compute",
            "osapi_compute_listen": place.address,
            "osapi_compute_workers": 1,
            "compute_driver": "libvirt.LibvirtDriver" if computes else "fake.FakeDriver",
            "reserved_host_memory_mb": 0,
            "reserved_host_disk_mb": 0,
            "cpu_allocation_ratio": 16.0,
            "ram_allocation_ratio": 4.0,
            "disk_allocation_ratio": 16.0,
            "initial_cpu_allocation_ratio": 16.0,
            "vif_plugging_is_fatal": computes,
            "vif_plugging_timeout": 120,
            "update_resources_interval": 0,
            "sync_power_state_interval": 60,
            "resume_guests_state_on_host_boot": True,
        },
        "api": {"auth_strategy": "keystone"},
        "quota": {"instances": 40, "cores": 40},
        "wsgi": {"api_paste_config": "/etc/nova/api-paste.ini"},
        **({} if computes else databases),
        "conductor": {"workers": 1},
        "scheduler": {"workers": 1, "discover_hosts_in_cells_interval": -1},
        "filter_scheduler": {
            "enabled_filters": "ComputeFilter,ComputeCapabilitiesFilter,ImagePropertiesFilter,"
            "ServerGroupAntiAffinityFilter,ServerGroupAffinityFilter,AggregateInstanceExtraSpecsFilter"
        },
        "glance": {"api_servers": f"http://{place.address}:9292"},
        "vnc": {"enabled": False},
        "spice": {"enabled": False},
        "notifications": {"notification_format": "versioned", "notify_on_state_change": "vm_state"},
        # without it Cinder refuses to detach, since CVE-2023-2088
        "service_user": {"send_service_user_token": True, **account(place, "nova")},
        "libvirt": {
            "virt_type": "qemu",
            "connection_uri": "qemu:///system",
            "images_type": "qcow2",
            "cpu_mode": "none",
            "num_pcie_ports": 12,
            "nfs_mount_point_base": place.state / f"mnt-{host}",
        },
        "neutron": client(place, "neutron"),
        "placement": client(place, "placement"),
        "cinder": {**client(place, "cinder"), "os_region_name": REGION},
        "keystone_authtoken": checks_tokens(place, "nova"),
        **rest(place, "messagingv2"),
    }


def _nova(place: Place) -> Files:
    files = [(place.etc(f"nova-{host}") / "nova.conf", ini(nova(place, host))) for host in ("lab", *HOSTS)]
    paste = Path("/etc/nova/api-paste.ini").read_text()  # uwsgi looks for it beside the configuration
    return [*files, (place.etc("nova-lab") / "api-paste.ini", paste)]


def _cinder(place: Place) -> Files:
    etc = place.etc("cinder")
    settings: Settings = {
        "DEFAULT": {
            **messages(place),
            "host": "lab",
            "my_ip": place.address,
            "auth_strategy": "keystone",
            "osapi_volume_listen": place.address,
            "osapi_volume_workers": 1,
            "api_paste_config": "/etc/cinder/api-paste.ini",
            "resource_query_filters_file": "/etc/cinder/resource_filters.json",
            "state_path": place.lib("cinder"),
            "enabled_backends": "lab",
            "default_volume_type": "lab",
            "glance_api_servers": f"http://{place.address}:9292",
            "target_helper": "fake",
            "rootwrap_config": "/etc/cinder/rootwrap.conf",
        },
        "lab": {
            "volume_backend_name": "lab",
            "volume_driver": "cinder.volume.drivers.nfs.NfsDriver",
            "nfs_shares_config": etc / "nfs_shares",
            "nfs_mount_point_base": place.state / "mnt",
            "nfs_sparsed_volumes": True,
            "nfs_snapshot_support": True,
            "nas_secure_file_operations": False,
            "nas_secure_file_permissions": False,
            "max_over_subscription_ratio": 20,
        },
        "database": {"connection": database(place, "cinder")},
        "service_user": {"send_service_user_token": True, **account(place, "cinder")},
        "nova": client(place, "nova"),
        "keystone_authtoken": checks_tokens(place, "cinder"),
        **rest(place),
    }
    return [(etc / "cinder.conf", ini(settings)), (etc / "nfs_shares", f"{place.address}:/lab\n")]


# how clients find it
def clouds(place: Place) -> str:
    """clouds.yaml: one cloud for each Heat, as the user demo, and one as the administrator."""
    entries = [_cloud(place, name, "demo", HEATS[heat].region) for heat, name in CLOUDS.items()]
    entries.append(_cloud(place, "lab-admin", "admin", REGION))
    return "clouds:\n" + "".join(entries)


def _cloud(place: Place, name: str, user: str, region: str) -> str:
    auth = {
        "auth_url": f"http://{place.address}:5000/v3",
        "username": user,
        "password": PASSWORD,
        "project_name": user,
        "user_domain_name": "Default",
        "project_domain_name": "Default",
    }
    lines = [f"  {name}:", "    auth:", *(f"      {key}: {value}" for key, value in auth.items())]
    return "\n".join([*lines, f"    region_name: {region}", "    identity_api_version: 3", ""])
