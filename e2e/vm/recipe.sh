#!/bin/bash
# Builds the base of the test VM into a folder: vmlinuz, initrd and disk.raw,
# a Debian with systemd, docker and podman. A folder that has them stays as it
# is. Needs root, a Debian mirror, and some minutes. Nothing is mounted but what
# debootstrap mounts below the folder.
# usage: e2e/vm/recipe.sh FOLDER
set -euo pipefail

out=$1 here=$(dirname "$0")
suite=bookworm
packages=systemd,systemd-sysv,udev,dbus,kmod,adduser,init-system-helpers,iproute2,iptables,procps
packages=$packages,busybox-static,docker.io,podman,netavark,linux-image-cloud-amd64
say() { echo "vm: $*" >&2; }

# need PROGRAM PACKAGE
need() {
	command -v "$1" >/dev/null && return
	say "$1 is missing: apt-get install $2"
	export DEBIAN_FRONTEND=noninteractive
	apt-get install -y -qq --no-install-recommends "$2" >&2 || { apt-get update -qq && apt-get install -y -qq --no-install-recommends "$2" >&2; } ||
		{ say "CANNOT RUN: there is no $1 and Debian's $2 cannot be installed (as root, with a package index)"; exit 1; }
}
need qemu-system-x86_64 qemu-system-x86
need qemu-img qemu-utils
need mke2fs e2fsprogs
[ ! -e "$out/disk.raw" ] || exit 0
need debootstrap debootstrap

# The machine's own mirror, when it is a Debian.
mirror=$(apt-get indextargets --format '$(REPO_URI) $(CODENAME)' 2>/dev/null | awk -v suite=$suite '$2 == suite {print $1; exit}')
: "${mirror:=http://deb.debian.org/debian}"

done=$out
out=$out.new
rm -rf --one-file-system "$out" # debootstrap, when killed, leaves /proc mounted in there
mkdir -p "$out"
root=$out/root
say "debootstrap $suite"
debootstrap --variant=minbase --include=$packages $suite "$root" "$mirror" >"$out/debootstrap.log" || {
	tail -n 20 "$out/debootstrap.log" "$root/debootstrap/debootstrap.log" >&2
	exit 1
}

say "initrd"
kernel=$(ls "$root/lib/modules")
# One of the project's own, as udev in Debian's takes seconds of each boot.
initrd=/tmp/initrd # in the root: the host may have neither modprobe nor cpio
mkdir -p "$root$initrd/bin" "$root$initrd/lib/modules"
cp "$root/bin/busybox" "$root$initrd/bin/"
cp "$here/base/init" "$root$initrd/"
for module in virtio_pci virtio_blk virtio_console ext4 crc32c_generic; do
	chroot "$root" modprobe --set-version "$kernel" --show-depends $module
done | awk '$1 == "insmod" && !seen[$2]++ {print $2}' | while read -r file; do
	cp "$root$file" "$root$initrd/lib/modules/"
	basename "$file" >>"$root$initrd/lib/modules/order"
done
chroot "$root" sh -c "cd $initrd && find . | cpio --quiet --create --format=newc" | gzip >"$out/initrd"
rm -r "$root$initrd"
cp "$root/boot/vmlinuz-$kernel" "$out/vmlinuz"

say "settings"
cp "$here/base/vm.service" "$here/base/vm-prepare.service" "$root/etc/systemd/system/"
systemctl --quiet --root="$root" enable vm.service vm-prepare.service
systemctl --quiet --root="$root" set-default multi-user.target
# Tests start what they need; a container engine takes seconds of each boot.
systemctl --quiet --root="$root" disable docker.service docker.socket containerd.service podman.service podman.socket podman-restart.service podman-auto-update.service podman-auto-update.timer
systemctl --quiet --root="$root" mask apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer e2scrub_reap.service fstrim.timer \
	getty@tty1.service serial-getty@ttyS0.service systemd-networkd.service
mkdir -p "$root/etc/systemd/journald.conf.d" "$root/vm" "$root/var/log/journal"
rmdir "$root/var/log/journal"
printf '[Journal]\nStorage=volatile\nForwardToConsole=no\n' >"$root/etc/systemd/journald.conf.d/vm.conf"
echo edge >"$root/etc/hostname"
echo '127.0.0.1 localhost edge' >"$root/etc/hosts"
echo '/dev/vda / ext4 defaults 0 0' >"$root/etc/fstab"

# The image that containers of tests run.
mkdir -p "$root/usr/share/vm/image"
cp "$root/bin/busybox" "$root/usr/share/vm/image/"
printf 'FROM scratch\nCOPY busybox /bin/busybox\nRUN ["/bin/busybox", "--install", "-s", "/bin"]\nCMD ["sh"]\n' >"$root/usr/share/vm/image/Dockerfile"

# What a test does not read, and what would say where this was built.
rm -rf "$root"/usr/share/doc/* "$root"/usr/share/man/* "$root"/usr/share/locale/* "$root"/var/cache/apt/* "$root"/var/lib/apt/lists/* \
	"$root"/boot/* "$root"/debootstrap "$root"/var/log/*.log "$root"/etc/apt/sources.list
: >"$root/etc/resolv.conf"

say "disk"
mke2fs -q -t ext4 -L root -E lazy_itable_init=0,lazy_journal_init=0 -d "$root" "$out/disk.raw" 3G
rm -rf --one-file-system "$root"

say "first boot, which builds the image for containers"
timeout 600 qemu-system-x86_64 -accel tcg,thread=multi -cpu max -smp 2 -m 1024 -nic none -nographic -no-reboot \
	-kernel "$out/vmlinuz" -initrd "$out/initrd" -append "root=/dev/vda rw apparmor=0 console=ttyS0 vm.prepare" \
	-drive "file=$out/disk.raw,format=raw,if=virtio,cache=unsafe,discard=unmap" </dev/null >"$out/console.log" 2>&1
grep -q 'vm-prepare: done' "$out/console.log" || { tail -n 60 "$out/console.log" >&2; exit 1; }
rm -rf --one-file-system "$done"
mv "$out" "$done"
