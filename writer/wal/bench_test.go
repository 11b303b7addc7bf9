package wal

import (
	"fmt"
	"testing"
)

func BenchmarkAppend(b *testing.B) {
	for _, size := range []int{1 << 10, 16 << 10} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			o := options()
			o.MaxSize = 256 << 20
			l := mustOpen(b, b.TempDir(), o)
			mustRoll(b, l)
			p := payload(1, size)
			b.SetBytes(int64(size))
			for b.Loop() {
				if l.Size() > 16<<20 {
					mustRoll(b, l)
				}
				mustAppend(b, l, Data, p)
			}
		})
	}
}

// filled makes a closed log of 256 MiB in segments of 16 MiB.
func filled(b *testing.B) (dir string, size int64) {
	dir = b.TempDir()
	o := options()
	o.MaxSize = 1 << 30
	l := mustOpen(b, dir, o)
	p := payload(1, 8<<10)
	for range 16 {
		mustRoll(b, l, p)
		for l.Size() < 16<<20 {
			mustAppend(b, l, Data, p)
		}
	}
	size = l.Stats().Bytes
	mustClose(b, l)
	return dir, size
}

func BenchmarkRead(b *testing.B) {
	dir, size := filled(b)
	l := mustOpen(b, dir, options())
	b.SetBytes(size)
	for b.Loop() {
		r := l.Reader(0)
		n := 0
		for _, ok := r.Next(); ok; _, ok = r.Next() {
			n++
		}
		r.Close()
		if n < 30000 {
			b.Fatalf("%d frames", n)
		}
	}
}

func BenchmarkOpen256MiB(b *testing.B) {
	dir, _ := filled(b)
	o := options()
	o.MaxSize = 1 << 30
	for b.Loop() {
		mustClose(b, mustOpen(b, dir, o))
	}
}

// BenchmarkResync reads a segment whose beginning is zeros and rubbish.
func BenchmarkResync(b *testing.B) {
	dir := b.TempDir()
	l := mustOpen(b, dir, options())
	mustRoll(b, l)
	mustAppend(b, l, Data, payload(1, 8<<20))
	mustAppend(b, l, Data, []byte("found"))
	mustClose(b, l)
	path := segmentFiles(b, dir)[0]
	data := readAll(b, path)
	data[40] ^= 1
	clear(data[4<<20 : 6<<20])
	writeAll(b, path, data)
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		l := mustOpen(b, dir, options())
		if got, _ := read(l, 0); len(got) != 1 {
			b.Fatal(seqs(got))
		}
		mustClose(b, l)
	}
}
