package cli

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"containers/rl/container"
	"containers/rl/storage"
	"containers/rl/storage/flat"
	"containers/rl/userns"
)

// roleSize measures directories as root of the user namespace: what belongs to
// its other ids may be closed to the user himself.
const roleSize = "rl-size"

// sizes are docker's of a container: what it wrote, and that with its image.
type sizes struct {
	Root int64 `json:"rootFsSize"`
	RW   int64 `json:"rwSize"`
}

func (s sizes) String() string {
	return fmt.Sprintf("%s (virtual %s)", humanSize(s.RW), humanSize(s.Root))
}

// measure gives the sizes of containers by their ids. One that is removed
// meanwhile has none.
func measure(host container.Host, list []*container.Info) (map[string]sizes, error) {
	found := map[string]sizes{}
	var parts, closed []sizedPart
	var dirs []string
	for _, i := range list {
		if i.Copied() {
			n, err := sizeOfCopy(host, i)
			if err != nil {
				return nil, err
			}
			found[i.ID] = sizes{Root: n, RW: n}
			continue
		}
		if root := i.Root(); root != "" {
			parts = append(parts, sizedPart{i.ID, root, false})
			continue
		}
		parts = append(parts, sizedPart{i.ID, i.Dir + "/upper", true})
		if below := i.Below(); below != "" {
			parts = append(parts, sizedPart{i.ID, below, false})
		}
	}
	for _, p := range parts {
		n, err := treeSize(p.dir)
		if errors.Is(err, fs.ErrPermission) {
			closed, dirs = append(closed, p), append(dirs, p.dir)
			continue
		}
		found[p.id] = found[p.id].with(p, n)
	}
	if len(dirs) > 0 {
		inside, err := sizesInside(host, dirs)
		if err != nil {
			return nil, err
		}
		for n, p := range closed {
			found[p.id] = found[p.id].with(p, inside[n])
		}
	}
	for _, i := range list {
		if img, err := host.Dirs.Lookup(i.ImageID); err == nil {
			s := found[i.ID]
			s.Root += img.Size
			found[i.ID] = s
			img.Close()
		}
	}
	return found, nil
}

// sizedPart is a directory that a container's files are in.
type sizedPart struct {
	id, dir string
	written bool // by the container
}

func (s sizes) with(p sizedPart, n int64) sizes {
	s.Root += n
	if p.written {
		s.RW += n
	}
	return s
}

// treeSize is the length of all files below a directory, each counted once.
func treeSize(dir string) (total int64, err error) {
	type inode struct{ dev, ino uint64 }
	seen := map[inode]bool{}
	err = filepath.WalkDir(dir, func(_ string, entry fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return nil // it is gone
		}
		if st, ok := info.Sys().(*syscall.Stat_t); ok && st.Nlink > 1 {
			id := inode{uint64(st.Dev), st.Ino}
			if seen[id] {
				return nil
			}
			seen[id] = true
		}
		total += info.Size()
		return nil
	})
	return total, err
}

// sizeOfCopy has the second self of a container's files compare them with the
// image. One that is removed or ends meanwhile, or is started just now, has no size.
func sizeOfCopy(host container.Host, i *container.Info) (n int64, err error) {
	reader, writer, err := os.Pipe()
	if err != nil {
		return 0, fmt.Errorf("making a pipe: %w", err)
	}
	defer reader.Close()
	err = inTree(host, i.ID, treeRequest{Op: "size"}, nil, writer)
	writer.Close()
	if errors.Is(err, storage.ErrNoContainer) || errors.Is(err, storage.ErrHeld) || errors.Is(err, container.ErrNotRunning) {
		return 0, nil
	}
	if err == nil {
		_, err = fmt.Fscan(reader, &n)
	}
	return n, err
}

// sizeOfChanges is what a container wrote, in files that are its own by now.
func sizeOfChanges(w io.Writer, t container.Tree) error {
	changes, err := flat.ChangesOf(t.Copy.Root, t.Lower, flat.Copied{Since: t.Copy.Since, Hidden: hidden(t.Mounts)})
	if err != nil {
		return err
	}
	total, seen := int64(0), map[uint64]bool{}
	for _, c := range changes {
		if !seen[c.Ino] {
			total += c.Size
		}
		seen[c.Ino] = c.Ino != 0
	}
	_, err = fmt.Fprintln(w, total)
	return err
}

// sizeInside is the second self: a line for each directory.
func sizeInside(s Streams, dirs []string) error {
	for _, dir := range dirs {
		n, err := treeSize(dir)
		if err != nil {
			return err
		}
		fmt.Fprintln(s.Out, n)
	}
	return nil
}

func sizesInside(host container.Host, dirs []string) ([]int64, error) {
	reader, writer, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("making a pipe: %w", err)
	}
	defer reader.Close()
	process, err := userns.CommandWith(host.IDs, roleSize, dirs, [3]int{0, int(writer.Fd()), 2})
	writer.Close()
	if err != nil {
		return nil, err
	}
	text, err := io.ReadAll(reader)
	if err = errors.Join(process.Wait(), err); err != nil {
		return nil, fmt.Errorf("measuring containers: %w", err)
	}
	list := make([]int64, len(dirs))
	for n, word := range strings.Fields(string(text)) {
		if n < len(list) {
			list[n], _ = strconv.ParseInt(word, 10, 64)
		}
	}
	return list, nil
}
