#!/bin/sh
# Makes DIRECTORY/nodepush_VERSION_ARCH.deb of a binary built for GOARCH and GOARM.
# usage: packaging/deb.sh BINARY VERSION DIRECTORY, from the repository's root
set -eu

BINARY=$1 version=$2 directory=$3

# Debian's name of the architecture. Raspberry Pi OS calls ARMv6 armhf as well.
case $(go env GOARCH)$(go env GOARM | cut -d, -f1) in
amd64 | arm64 | riscv64) DEB_ARCH=$(go env GOARCH) ;;
386) DEB_ARCH=i386 ;;
arm7 | arm6) DEB_ARCH=armhf ;;
arm5) DEB_ARCH=armel ;;
mipsle) DEB_ARCH=mipsel ;;
*)
	echo "deb.sh: no Debian architecture for GOARCH=$(go env GOARCH) GOARM=$(go env GOARM): amd64, arm64, arm (GOARM 5, 6 or 7), 386, riscv64 or mipsle" >&2
	exit 1
	;;
esac

# What git describe says, as a version that dpkg sorts in the order of the
# commits: 1.2.3, 1.2.3+4.gabc, 1.2.3~rc1; without a tag the commit's time and id.
DEB_VERSION=$(printf %s "$version" | sed -E 's/^v//; s/-dirty$/+dirty/; s/-([0-9]+)-g([0-9a-f]+)/+\1.g\2/; s/-((alpha|beta|rc|pre).*)/~\1/; s/-/./g')
case $version in
v[0-9]*.[0-9]* | [0-9]*.[0-9]*) ;;
*) DEB_VERSION="0.0~git$(TZ=UTC git log -1 --format=%cd --date=format-local:%Y%m%d%H%M%S 2>/dev/null || echo 0).${DEB_VERSION:-unknown}" ;;
esac

: "${DEB_MAINTAINER:=nodepush maintainers <root@localhost>}" # who builds packages for others sets it
export BINARY DEB_ARCH DEB_VERSION DEB_MAINTAINER

mkdir -p "$directory"
# nfpm runs here, whatever the binary is for.
env -u GOOS -u GOARCH -u GOARM go tool -modfile=packaging/tools/go.mod nfpm package \
	--config packaging/nfpm.yaml --packager deb --target "$directory/nodepush_${DEB_VERSION}_${DEB_ARCH}.deb"
