"""The API of Meghdwar over HTTP: packages the NFV way (/vnfpkgm), and the life cycle of cloudlets (/v1)."""
