"""Serves a WSGI program of a service that is installed from PyPI: `serve_wsgi.py PROGRAM ADDRESS PORT OPTION ...`,
where the options are the program's."""

import runpy
import socketserver
import sys
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

program, address, port = sys.argv[1:4]
sys.argv = [program, *sys.argv[4:]]


class Threaded(socketserver.ThreadingMixIn, WSGIServer):
    daemon_threads = True


class Brief(WSGIRequestHandler):
    def address_string(self):
        return self.client_address[0]  # no name is looked for


application = runpy.run_path(program, run_name="served")["application"]
make_server(address, int(port), application, Threaded, Brief).serve_forever()
