#!/bin/sh
# Builds the Go verifier offline from Debian's golang-go and golang-golang-x-mod-dev: build.sh OUTPUT
set -eu
here=$(cd "$(dirname "$0")" && pwd)
gopath=$(dpkg -L golang-golang-x-mod-dev | sed -n 's|/src/golang.org/x/mod$||p')
GO111MODULE=off GOPATH="$gopath" GOPROXY=off GOFLAGS= GOCACHE="${GOCACHE:-$1.cache}" go build -o "$1" "$here/main.go"
