"""Peers of the tests of AWS KMS: a KMS (moto), a signer (botocore), a TLS server nobody trusts. Loopback only.

peer.py moto   a server; commands on stdin, one line of JSON each, answered by one line
peer.py sign   requests as JSON on stdin, their `Authorization` headers on stdout
peer.py tls    prints a port and a certificate, answers every request with status 400
"""
import base64
import datetime
import json
import os
import sys

for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
    del os.environ[name]
os.environ["NO_PROXY"] = "*"


def moto():
    import boto3
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    _, port = server.get_host_and_port()
    kms = boto3.client("kms", region_name="eu-central-1", endpoint_url=f"http://127.0.0.1:{port}",
                       aws_access_key_id="AKIDEXAMPLE", aws_secret_access_key="secret")
    print(json.dumps({"port": port}), flush=True)
    for line in sys.stdin:
        asked = json.loads(line)
        told = getattr(kms, asked.pop("call"))(**asked)
        told.pop("ResponseMetadata", None)
        print(json.dumps(told, default=str), flush=True)
    server.stop()


def sign():
    import botocore.auth
    from botocore.awsrequest import AWSRequest
    from botocore.credentials import Credentials

    signatures = []
    for asked in json.load(sys.stdin):
        now = datetime.datetime.fromtimestamp(asked["secs"], datetime.timezone.utc).replace(tzinfo=None)
        botocore.auth.get_current_datetime = lambda *_, **__: now
        request = AWSRequest(method="POST", url=asked["url"], headers=asked["headers"],
                             data=base64.b64decode(asked["body"]))
        credentials = Credentials(asked["access_key"], asked["secret"], asked["token"])
        botocore.auth.SigV4Auth(credentials, "kms", asked["region"]).add_auth(request)
        assert request.headers["X-Amz-Date"] == asked["moment"], request.headers["X-Amz-Date"]
        signatures.append(request.headers["Authorization"])
    json.dump(signatures, sys.stdout)


def tls():
    import http.server
    import ipaddress
    import ssl
    import tempfile
    import threading
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    def key_and_pem():
        key = ec.generate_private_key(ec.SECP256R1())
        return key, key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                                      serialization.NoEncryption())

    def certificate(subject, issuer, public, signer, authority):
        now = datetime.datetime.now(datetime.timezone.utc)
        build = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(public)
        build = build.serial_number(x509.random_serial_number())
        build = build.not_valid_before(now - datetime.timedelta(hours=1))
        build = build.not_valid_after(now + datetime.timedelta(hours=1))
        build = build.add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        if not authority:
            names = [x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
            build = build.add_extension(x509.SubjectAlternativeName(names), critical=False)
        return build.sign(signer, hashes.SHA256())

    root_key, _ = key_and_pem()
    root_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a root of the test")])
    root = certificate(root_name, root_name, root_key.public_key(), root_key, True)
    leaf_key, leaf_pem = key_and_pem()
    leaf_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    leaf = certificate(leaf_name, root_name, leaf_key.public_key(), root_key, False)
    folder = tempfile.TemporaryDirectory()
    trusted, chain = folder.name + "/root.pem", folder.name + "/leaf.pem"
    with open(trusted, "wb") as file:
        file.write(root.public_bytes(serialization.Encoding.PEM))
    with open(chain, "wb") as file:
        file.write(leaf.public_bytes(serialization.Encoding.PEM) + leaf_pem)

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            body = b'{"__type":"NotFoundException"}'
            self.send_response(400)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(json.dumps({"port": server.server_address[1], "root": trusted}), flush=True)
    sys.stdin.read()
    folder.cleanup()


{"moto": moto, "sign": sign, "tls": tls}[sys.argv[1]]()
