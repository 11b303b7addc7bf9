package collector

import (
	"context"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"time"

	"nodepush/metric"
)

// goRuntime shows the Go runtime of this process. Nothing it reads stops the world.
// https://pkg.go.dev/runtime/metrics
type goRuntime struct {
	gc      debug.GCStats
	samples []metrics.Sample // in the order of goSources
}

// goSource is a value of runtime/metrics that some gauge or counter needs.
type goSource int

const (
	heapAllocs goSource = iota
	heapAllocObjects
	heapFreeObjects
	heapTinyObjects
	heapLiveObjects
	heapGoal
	memTotal
	memObjects
	memUnused
	memReleased
	memFree
	memStacks
	memOSStacks
	memSpanInuse
	memSpanFree
	memCacheInuse
	memCacheFree
	memBuckets
	memMetadata
	memOther
	gogc
	gomemlimit
	gomaxprocs
	goSources
)

var goSourceNames = [goSources]string{
	heapAllocs:       "/gc/heap/allocs:bytes",
	heapAllocObjects: "/gc/heap/allocs:objects",
	heapFreeObjects:  "/gc/heap/frees:objects",
	heapTinyObjects:  "/gc/heap/tiny/allocs:objects",
	heapLiveObjects:  "/gc/heap/objects:objects",
	heapGoal:         "/gc/heap/goal:bytes",
	memTotal:         "/memory/classes/total:bytes",
	memObjects:       "/memory/classes/heap/objects:bytes",
	memUnused:        "/memory/classes/heap/unused:bytes",
	memReleased:      "/memory/classes/heap/released:bytes",
	memFree:          "/memory/classes/heap/free:bytes",
	memStacks:        "/memory/classes/heap/stacks:bytes",
	memOSStacks:      "/memory/classes/os-stacks:bytes",
	memSpanInuse:     "/memory/classes/metadata/mspan/inuse:bytes",
	memSpanFree:      "/memory/classes/metadata/mspan/free:bytes",
	memCacheInuse:    "/memory/classes/metadata/mcache/inuse:bytes",
	memCacheFree:     "/memory/classes/metadata/mcache/free:bytes",
	memBuckets:       "/memory/classes/profiling/buckets:bytes",
	memMetadata:      "/memory/classes/metadata/other:bytes",
	memOther:         "/memory/classes/other:bytes",
	gogc:             "/gc/gogc:percent",
	gomemlimit:       "/gc/gomemlimit:bytes",
	gomaxprocs:       "/sched/gomaxprocs:threads",
}

// goSum is a metric that is the sum of sources.
type goSum struct {
	desc *metric.Desc
	of   []goSource
}

func goMetric(t metric.Type, name, unit, help string, of ...goSource) goSum {
	return goSum{&metric.Desc{Name: "go_" + name, Type: t, Unit: unit, Help: help}, of}
}

var goSums = [...]goSum{
	goMetric(metric.Gauge, "gc_gogc_percent", "", "Growth of the heap in percent that starts a garbage collection (GOGC).", gogc),
	goMetric(metric.Gauge, "gc_gomemlimit_bytes", "bytes", "Memory that the runtime tries not to exceed (GOMEMLIMIT).", gomemlimit),
	goMetric(metric.Gauge, "sched_gomaxprocs_threads", "", "Threads that may run Go code at a time (GOMAXPROCS).", gomaxprocs),
	goMetric(metric.Gauge, "memstats_alloc_bytes", "bytes", "Heap held by objects; the same as go_memstats_heap_alloc_bytes.", memObjects),
	goMetric(metric.Counter, "memstats_alloc_bytes_total", "bytes", "Heap ever allocated, freed or not.", heapAllocs),
	goMetric(metric.Gauge, "memstats_sys_bytes", "bytes", "Memory mapped from the system.", memTotal),
	goMetric(metric.Counter, "memstats_mallocs_total", "", "Objects ever allocated, tiny ones included.", heapAllocObjects, heapTinyObjects),
	goMetric(metric.Counter, "memstats_frees_total", "", "Objects ever freed, all tiny ones included, so that mallocs minus frees is what lives.", heapFreeObjects, heapTinyObjects),
	goMetric(metric.Gauge, "memstats_heap_alloc_bytes", "bytes", "Heap held by objects, living ones and those not swept yet.", memObjects),
	goMetric(metric.Gauge, "memstats_heap_sys_bytes", "bytes", "Heap mapped from the system, returned parts included.", memObjects, memUnused, memReleased, memFree),
	goMetric(metric.Gauge, "memstats_heap_idle_bytes", "bytes", "Heap without objects, returned to the system or not.", memReleased, memFree),
	goMetric(metric.Gauge, "memstats_heap_inuse_bytes", "bytes", "Heap reserved for objects.", memObjects, memUnused),
	goMetric(metric.Gauge, "memstats_heap_released_bytes", "bytes", "Heap returned to the system.", memReleased),
	goMetric(metric.Gauge, "memstats_heap_objects", "", "Objects on the heap.", heapLiveObjects),
	goMetric(metric.Gauge, "memstats_stack_inuse_bytes", "bytes", "Stacks of goroutines.", memStacks),
	goMetric(metric.Gauge, "memstats_stack_sys_bytes", "bytes", "Stacks of goroutines and of threads.", memStacks, memOSStacks),
	goMetric(metric.Gauge, "memstats_mspan_inuse_bytes", "bytes", "Descriptors of heap spans in use.", memSpanInuse),
	goMetric(metric.Gauge, "memstats_mspan_sys_bytes", "bytes", "Descriptors of heap spans, free ones included.", memSpanInuse, memSpanFree),
	goMetric(metric.Gauge, "memstats_mcache_inuse_bytes", "bytes", "Per-thread allocation caches in use.", memCacheInuse),
	goMetric(metric.Gauge, "memstats_mcache_sys_bytes", "bytes", "Per-thread allocation caches, free ones included.", memCacheInuse, memCacheFree),
	goMetric(metric.Gauge, "memstats_buck_hash_sys_bytes", "bytes", "Hash table of the profiler.", memBuckets),
	goMetric(metric.Gauge, "memstats_gc_sys_bytes", "bytes", "Bookkeeping of the garbage collector.", memMetadata),
	goMetric(metric.Gauge, "memstats_other_sys_bytes", "bytes", "Everything else the runtime mapped.", memOther),
	goMetric(metric.Gauge, "memstats_next_gc_bytes", "bytes", "Size of the heap that the garbage collector works towards.", heapGoal),
}

const gcFamily = "go_gc_duration_seconds"

var (
	goInfo       = &metric.Desc{Name: "go_info", Type: metric.Gauge, Labels: []string{"version"}, Help: "Always 1; the label is the version of Go this program was built with."}
	goGoroutines = &metric.Desc{Name: "go_goroutines", Type: metric.Gauge, Help: "Goroutines that exist."}
	goThreads    = &metric.Desc{Name: "go_threads", Type: metric.Gauge, Help: "Threads the runtime has created."}
	goLastGC     = &metric.Desc{
		Name: "go_memstats_last_gc_time_seconds", Type: metric.Gauge, Unit: "seconds",
		Help: "When the last garbage collection ended, since the epoch; 0 before the first.",
	}
	gcPause = &metric.Desc{
		Name: gcFamily, Type: metric.Summary, Unit: "seconds", Labels: []string{"quantile"},
		Help: "How long garbage collections stopped the program, over the last 256 of them.",
	}
	gcPauseSum   = &metric.Desc{Name: gcFamily + "_sum", Family: gcFamily, Type: metric.Summary, Unit: "seconds", Help: gcPause.Help}
	gcPauseCount = &metric.Desc{Name: gcFamily + "_count", Family: gcFamily, Type: metric.Summary, Unit: "seconds", Help: gcPause.Help}
)

var gcQuantiles = [...]string{"0", "0.25", "0.5", "0.75", "1"}

// began is when this process began to count, in milliseconds since the epoch.
// It is the same for all collectors that a process ever makes.
var began = time.Now().UnixMilli()

func newGo(*host, Options) (Collector, error) {
	c := &goRuntime{samples: make([]metrics.Sample, goSources)}
	for i, name := range goSourceNames {
		c.samples[i].Name = name
	}
	c.gc.PauseQuantiles = make([]time.Duration, len(gcQuantiles))
	return c, nil
}

func (c *goRuntime) Name() string { return "go" }

func (c *goRuntime) Descs() []*metric.Desc {
	descs := []*metric.Desc{goInfo, goGoroutines, goThreads, gcPause, gcPauseSum, gcPauseCount, goLastGC}
	for i := range goSums {
		descs = append(descs, goSums[i].desc)
	}
	return descs
}

func (c *goRuntime) Collect(_ context.Context, _ time.Time, dst *metric.Buffer) error {
	dst.Start = began
	dst.Add(goInfo, 1, runtime.Version())
	dst.Add(goGoroutines, float64(runtime.NumGoroutine()))
	threads, _ := runtime.ThreadCreateProfile(nil)
	dst.Add(goThreads, float64(threads))
	c.addPauses(dst)
	metrics.Read(c.samples)
	for i := range goSums {
		c.addSum(&goSums[i], dst)
	}
	return nil
}

func (c *goRuntime) addPauses(dst *metric.Buffer) {
	debug.ReadGCStats(&c.gc)
	for i, pause := range c.gc.PauseQuantiles {
		dst.Add(gcPause, pause.Seconds(), gcQuantiles[i])
	}
	dst.Add(gcPauseSum, c.gc.PauseTotal.Seconds())
	dst.Add(gcPauseCount, float64(c.gc.NumGC))
	dst.Add(goLastGC, float64(c.gc.LastGC.UnixNano())/1e9)
}

// addSum leaves out a metric whose sources this version of Go does not have.
func (c *goRuntime) addSum(s *goSum, dst *metric.Buffer) {
	sum := uint64(0)
	for _, source := range s.of {
		v := c.samples[source].Value
		if v.Kind() != metrics.KindUint64 {
			return
		}
		sum += v.Uint64()
	}
	dst.Add(s.desc, float64(sum))
}
