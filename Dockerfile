# The static binary and nothing else; `make image` builds it, docs/operations.md
# runs it. dist/rootfs.tar comes from packaging/rootfs.go: a COPY would lose the
# binary's file capabilities.
FROM scratch
ADD dist/rootfs.tar /
USER 65532:65532
VOLUME /var/lib/nodepush
# The host's list of authorities, where Debian, Ubuntu and Alpine keep it.
ENV SSL_CERT_FILE=/host/etc/ssl/certs/ca-certificates.crt \
    GOMEMLIMIT=144MiB
ENTRYPOINT ["/usr/bin/nodepush", "--path.procfs=/host/proc", "--path.sysfs=/host/sys", "--path.rootfs=/host", "--path.udev.data=/host/run/udev/data", "--path.runfs=/host/run"]
CMD ["run", "--config.file=/etc/nodepush/config.yaml"]
