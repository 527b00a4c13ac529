"""Writes the cases of AWS's signing test suite that this signer can meet (path "/", no query) as one JSON file.

convert.py <git directory of awslabs/aws-c-auth> <commit>  >sigv4.json
"""
import json
import subprocess
import sys

GIT, COMMIT = sys.argv[1:]
SUITE = "tests/aws-signing-test-suite/v4"
CASES = """get-header-key-duplicate get-header-value-multiline get-header-value-order get-header-value-trim get-vanilla
get-vanilla-query get-vanilla-with-session-token post-header-key-case post-header-key-sort post-header-value-case
post-sts-header-after post-sts-header-before post-vanilla post-x-www-form-urlencoded
post-x-www-form-urlencoded-parameters""".split()


def show(case, name):
    run = subprocess.run(["git", "-C", GIT, "show", f"{COMMIT}:{SUITE}/{case}/{name}"], capture_output=True, check=True)
    return run.stdout.decode()


def headers(text):
    head, _, body = text.partition("\n\n")
    first, *lines = head.strip("\n").split("\n")
    method, path, _ = first.split(" ")
    assert path == "/", path
    found = []
    for line in lines:
        if line.startswith(" "):
            found[-1][1] += "\n" + line
        else:
            found.append(list(line.split(":", 1)))
    return method, found, body


cases = []
for case in CASES:
    context = json.loads(show(case, "context.json"))
    method, found, body = headers(show(case, "request.txt"))
    _, signed, _ = headers(show(case, "header-signed-request.txt"))
    cases.append({
        "name": case,
        "method": method,
        "headers": found,
        "body": body,
        "region": context["region"],
        "service": context["service"],
        "timestamp": context["timestamp"],
        "access_key_id": context["credentials"]["access_key_id"],
        "secret_access_key": context["credentials"]["secret_access_key"],
        "token": context["credentials"].get("token"),
        "token_signed": not context.get("omit_session_token", False),
        "sign_body": context["sign_body"],
        "canonical_request": show(case, "header-canonical-request.txt"),
        "string_to_sign": show(case, "header-string-to-sign.txt"),
        "authorization": next(value for name, value in signed if name == "Authorization"),
    })
json.dump({
    "about": "AWS Signature Version 4: cases of AWS's own test suite with path / and no query, header signing",
    "source": f"awslabs/aws-c-auth, {SUITE}, commit {COMMIT}; rewritten as one JSON file",
    "licence": "Apache-2.0. Copyright Amazon.com, Inc. or its affiliates. All Rights Reserved.",
    "cases": cases,
}, sys.stdout, indent=1)
print()
