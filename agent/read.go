package agent

import (
	"fmt"
	"io"
	"os"
	"syscall"
)

// maxSmall bounds what is read of a small file: of procfs, or of our own.
const maxSmall = 1 << 20

// readSmall returns the beginning of a file that should be small. What is no
// regular file, a FIFO or a device, is refused without waiting for it.
func readSmall(file string) ([]byte, error) {
	f, err := os.OpenFile(file, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is no regular file", file)
	}
	return io.ReadAll(io.LimitReader(f, maxSmall))
}
