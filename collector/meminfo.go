package collector

import (
	"bytes"
	"context"
	"time"

	"nodepush/metric"
)

// meminfo shows how memory is used.
// https://docs.kernel.org/filesystems/proc.html#meminfo
type meminfo struct {
	reader
	file   file
	fields roster[*memField]
}

// memField is a line of /proc/meminfo that is shown.
type memField struct {
	key  string
	desc *metric.Desc
}

// memBytes is a field whose value the kernel gives in kB.
func memBytes(key, name, help string) memField {
	return memField{key, &metric.Desc{Name: "node_memory_" + name + "_bytes", Type: metric.Gauge, Unit: "bytes", Help: help}}
}

// memPages is a field whose value is a number of huge pages.
func memPages(key, help string) memField {
	return memField{key, &metric.Desc{Name: "node_memory_" + key, Type: metric.Gauge, Help: help}}
}

// memFields is what the kernel has in the order of its file. node_exporter
// showed every field up to 1.8 and only a fixed list since; the fields that it
// dropped are here too, because dashboards of those days ask for them. A field
// that is not on the list is not shown, so that a new kernel brings no new series.
var memFields = [...]memField{
	memBytes("MemTotal", "MemTotal", "Usable memory: all of it without what the kernel's image and the firmware hold."),
	memBytes("MemFree", "MemFree", "Memory that nothing uses."),
	memBytes("MemAvailable", "MemAvailable", "The kernel's estimate of what new programs can get without swapping."),
	memBytes("Buffers", "Buffers", "Cache of raw blocks, of file system metadata above all."),
	memBytes("Cached", "Cached", "Page cache and tmpfs, without SwapCached."),
	memBytes("SwapCached", "SwapCached", "Memory that was swapped in and still has its copy in swap."),
	memBytes("Active", "Active", "Memory used lately, which is reclaimed last."),
	memBytes("Inactive", "Inactive", "Memory not used lately, which is reclaimed first."),
	memBytes("Active(anon)", "Active_anon", "Anonymous and tmpfs memory used lately."),
	memBytes("Inactive(anon)", "Inactive_anon", "Anonymous and tmpfs memory not used lately."),
	memBytes("Active(file)", "Active_file", "Page cache used lately."),
	memBytes("Inactive(file)", "Inactive_file", "Page cache not used lately."),
	memBytes("Unevictable", "Unevictable", "Memory that cannot be reclaimed, mlocked memory included."),
	memBytes("Mlocked", "Mlocked", "Memory locked with mlock(2)."),
	memBytes("SwapTotal", "SwapTotal", "Size of all swap areas."),
	memBytes("SwapFree", "SwapFree", "Swap that nothing uses."),
	memBytes("Zswap", "Zswap", "Memory that zswap takes for what it compressed."),
	memBytes("Zswapped", "Zswapped", "Size before compression of what zswap holds."),
	memBytes("Dirty", "Dirty", "Memory that waits to be written to disk."),
	memBytes("Writeback", "Writeback", "Memory that is being written to disk."),
	memBytes("AnonPages", "AnonPages", "Memory of processes that no file backs."),
	memBytes("Mapped", "Mapped", "Files and tmpfs mapped by processes."),
	memBytes("Shmem", "Shmem", "Shared memory and tmpfs."),
	memBytes("KReclaimable", "KReclaimable", "Kernel memory that is given back under pressure: SReclaimable and other such caches."),
	memBytes("Slab", "Slab", "The kernel's own data structures."),
	memBytes("SReclaimable", "SReclaimable", "The part of Slab that can be reclaimed."),
	memBytes("SUnreclaim", "SUnreclaim", "The part of Slab that cannot be reclaimed."),
	memBytes("KernelStack", "KernelStack", "Kernel stacks of all tasks."),
	memBytes("PageTables", "PageTables", "Page tables of all processes."),
	memBytes("SecPageTables", "SecPageTables", "Page tables of virtual machines and IOMMUs, kept beside those of processes."),
	memBytes("NFS_Unstable", "NFS_Unstable", "NFS pages sent and not committed by the server; always 0 since Linux 5.8."),
	memBytes("Bounce", "Bounce", "Bounce buffers of block devices; always 0 since Linux 6.16."),
	memBytes("WritebackTmp", "WritebackTmp", "Temporary writeback buffers of FUSE."),
	memBytes("CommitLimit", "CommitLimit", "What may be allocated in all under strict overcommit."),
	memBytes("Committed_AS", "Committed_AS", "What processes have been promised, used or not."),
	memBytes("VmallocTotal", "VmallocTotal", "Size of the vmalloc address space."),
	memBytes("VmallocUsed", "VmallocUsed", "Used part of the vmalloc address space."),
	memBytes("VmallocChunk", "VmallocChunk", "Largest free block of the vmalloc address space; always 0 since Linux 4.4."),
	memBytes("Percpu", "Percpu", "Memory of the per-CPU allocator."),
	memBytes("HardwareCorrupted", "HardwareCorrupted", "Memory taken out of use after hardware errors."),
	memBytes("AnonHugePages", "AnonHugePages", "Anonymous memory in transparent huge pages."),
	memBytes("ShmemHugePages", "ShmemHugePages", "Shared memory and tmpfs in huge pages."),
	memBytes("ShmemPmdMapped", "ShmemPmdMapped", "Shared memory that processes map with huge pages."),
	memBytes("FileHugePages", "FileHugePages", "Page cache in transparent huge pages."),
	memBytes("FilePmdMapped", "FilePmdMapped", "Page cache that processes map with huge pages."),
	memBytes("CmaTotal", "CmaTotal", "Memory reserved for the contiguous memory allocator."),
	memBytes("CmaFree", "CmaFree", "Free part of the contiguous memory allocator's reserve."),
	memBytes("Unaccepted", "Unaccepted", "Memory that a confidential guest has not accepted from its host yet."),
	memBytes("Balloon", "Balloon", "Memory that a virtual machine has lent back to its host."),
	memPages("HugePages_Total", "Huge pages in the pool."),
	memPages("HugePages_Free", "Huge pages in the pool that nothing uses."),
	memPages("HugePages_Rsvd", "Huge pages promised and not yet allocated from the pool."),
	memPages("HugePages_Surp", "Huge pages above the configured size of the pool."),
	memBytes("Hugepagesize", "Hugepagesize", "Size of a huge page of the default pool."),
	memBytes("Hugetlb", "Hugetlb", "Memory that huge page pools of all sizes hold."),
	memBytes("DirectMap4k", "DirectMap4k", "Memory that the kernel maps in pages of 4 KiB."),
	memBytes("DirectMap2M", "DirectMap2M", "Memory that the kernel maps in pages of 2 MiB."),
	memBytes("DirectMap1G", "DirectMap1G", "Memory that the kernel maps in pages of 1 GiB."),
}

func newMeminfo(h *host, _ Options) (Collector, error) {
	return &meminfo{
		reader: h.reader(),
		file:   fileAt(h.Procfs, "meminfo"),
		fields: roster[*memField]{make: memFieldOf},
	}, nil
}

// memFieldOf returns nil for a key that is not shown.
func memFieldOf(key string) *memField {
	for i := range memFields {
		if memFields[i].key == key {
			return &memFields[i]
		}
	}
	return nil
}

func (c *meminfo) Name() string { return "meminfo" }

func (c *meminfo) Descs() []*metric.Desc {
	descs := make([]*metric.Desc, len(memFields))
	for i := range memFields {
		descs[i] = memFields[i].desc
	}
	return descs
}

func (c *meminfo) Collect(_ context.Context, _ time.Time, dst *metric.Buffer) error {
	text, err := c.read(c.file)
	if err != nil {
		return required(c.file, err)
	}
	l := lines{file: c.file, rest: text}
	c.fields.begin()
	for l.next() {
		c.add(&l, dst)
	}
	c.fields.end()
	return l.end()
}

func (c *meminfo) add(l *lines, dst *metric.Buffer) {
	key, value, ok := parseMeminfoLine(l.text)
	if !ok {
		l.reject(`"Key: number" or "Key: number kB"`)
		return
	}
	field, again := c.fields.meet(key)
	switch {
	case again:
		l.reject("every key once")
	case field.kept != nil:
		dst.Add(field.kept.desc, float64(value))
	}
}

// parseMeminfoLine splits "MemFree:  24500 kB" and turns kB, which are KiB,
// into bytes.
func parseMeminfoLine(text []byte) (key []byte, value uint64, ok bool) {
	key, rest, _ := bytes.Cut(text, []byte{':'})
	value, rest, ok = cutUint(rest)
	unit, rest := cutField(rest)
	switch string(unit) {
	case "":
	case "kB":
		ok = ok && value <= 1<<54-1
		value <<= 10
	default:
		ok = false
	}
	extra, _ := cutField(rest)
	return key, value, ok && len(key) > 0 && len(extra) == 0
}
