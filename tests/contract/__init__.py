"""One contract, the same for every hypervisor: the sentences of meghdwar/driver/hypervisor.py as tests."""
