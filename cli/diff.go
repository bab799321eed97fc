package cli

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"sort"
	"strings"

	"golang.org/x/sys/unix"

	"containers/rl/cli/flags"
	"containers/rl/container"
	"containers/rl/image"
	"containers/rl/storage"
	"containers/rl/storage/flat"
)

func diffFlags(f *flags.Set) func(Streams, []string) error {
	format := f.String("format", "", "json, or nothing for lines")
	latest := latestFlag(f)
	return func(s Streams, args []string) error {
		if *format != "" && *format != "json" {
			return usageError{Text: fmt.Sprintf("--format %s: json", *format), Command: "diff"}
		}
		named, than := args, ""
		if len(args) == 2 {
			named, than = args[:1], args[1]
		}
		host, info, err := latestRef("diff", *latest, named)
		if errors.Is(err, storage.ErrNoContainer) && !*latest {
			img, unknown := lookup(host, named[0])
			img.Close()
			if !errors.Is(unknown, storage.ErrNoImage) {
				return diffImage(s, host, named[0], than, *format)
			}
			err = fmt.Errorf("%w, and %w", err, unknown)
		}
		if err == nil && than != "" {
			err = ownImage(host, info, than)
		}
		if err != nil {
			return err
		}
		text, err := captured(func(out *os.File) error { return inTree(host, info.ID, treeRequest{Op: "diff"}, nil, out) })
		if err != nil {
			return err
		}
		return printDiff(s, text, *format)
	}
}

// ownImage refuses what a container cannot be compared with.
func ownImage(host container.Host, info *container.Info, ref string) error {
	img, err := lookup(host, ref)
	if err != nil {
		return err
	}
	defer img.Close()
	if img.ID != info.ImageID {
		return fmt.Errorf("container %s can be compared with its own image only, and %s is another: rl diff %[1]s", info.Name(), ref)
	}
	return nil
}

func printDiff(s Streams, text, format string) error {
	if format == "json" {
		return diffJSON(s, text)
	}
	_, err := io.WriteString(s.Out, text)
	return err
}

func diffJSON(s Streams, text string) error {
	changes := map[string][]string{}
	for line := range strings.Lines(text) {
		kind := map[byte]string{'A': "added", 'C': "changed", 'D': "deleted"}[line[0]]
		changes[kind] = append(changes[kind], strings.TrimSuffix(line[2:], "\n"))
	}
	return printJSON(s.Out, changes)
}

// diffInside lists what the upper directory of the overlay holds: added,
// changed and deleted paths (overlayfs.rst; docker-diff(1)).
func diffInside(w io.Writer, t container.Tree) error {
	if t.Copy != nil {
		return diffOfCopy(w, t)
	}
	if t.Upper == "" {
		return fmt.Errorf("a container of --rootfs has no image to differ from")
	}
	upper, err := unix.Open(t.Upper, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("opening %s: %w", t.Upper, err)
	}
	defer unix.Close(upper)
	d := differ{tree: t, mounts: hidden(t.Mounts)}
	for _, dir := range t.Lower {
		fd, err := unix.Open(dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		if err != nil {
			return fmt.Errorf("opening %s: %w", dir, err)
		}
		defer unix.Close(fd)
		d.lower = append(d.lower, fd)
	}
	if err := d.walk(upper, "/"); err != nil {
		return err
	}
	sort.Slice(d.lines, func(i, j int) bool { return d.lines[i][2:] < d.lines[j][2:] })
	for _, line := range d.lines {
		if _, err := fmt.Fprintln(w, line); err != nil {
			return err
		}
	}
	return nil
}

func diffOfCopy(w io.Writer, t container.Tree) error {
	changes, err := flat.ChangesOf(t.Copy.Root, t.Lower, flat.Copied{Since: t.Copy.Since, Hidden: hidden(t.Mounts)})
	for _, c := range changes {
		if _, err := fmt.Fprintf(w, "%c %s\n", c.Kind, c.Path); err != nil {
			return err
		}
	}
	return err
}

type differ struct {
	tree   container.Tree
	lower  []int
	mounts map[string]bool // mount points and the directories above
	lines  []string
}

func (d *differ) walk(fd int, dir string) error {
	names, err := image.Names(fd)
	if err != nil {
		return fmt.Errorf("listing %s: %w", dir, err)
	}
	for _, name := range names {
		if err := d.entry(fd, name, path.Join(dir, name)); err != nil {
			return err
		}
	}
	return nil
}

func (d *differ) entry(parent int, base, name string) error {
	var st unix.Stat_t
	if err := unix.Fstatat(parent, base, &st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return fmt.Errorf("looking at %s: %w", name, err)
	}
	if st.Mode&unix.S_IFMT == unix.S_IFCHR && st.Rdev == 0 {
		d.lines = append(d.lines, "D "+name)
		return nil
	}
	before := len(d.lines)
	if st.Mode&unix.S_IFMT == unix.S_IFDIR {
		fd, err := unix.Openat(parent, base, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
		if err != nil {
			return fmt.Errorf("opening %s: %w", name, err)
		}
		err = d.walk(fd, name)
		unix.Close(fd)
		if err != nil {
			return err
		}
	}
	// What only holds a place to mount on is our doing.
	if d.mounts[name] && len(d.lines) == before && (st.Size == 0 || st.Mode&unix.S_IFMT == unix.S_IFDIR) {
		return nil
	}
	kind := "A "
	if d.wasThere(name) {
		kind = "C "
	}
	d.lines = append(d.lines, kind+name)
	return nil
}

// wasThere looks into the image's directories, until one has or hides it.
func (d *differ) wasThere(name string) bool {
	for _, fd := range d.lower {
		at, err := container.OpenIn(fd, name, unix.O_PATH|unix.O_NOFOLLOW)
		if err != nil {
			continue
		}
		var st unix.Stat_t
		err = unix.Fstat(at, &st)
		unix.Close(at)
		if err == nil {
			return st.Mode&unix.S_IFMT != unix.S_IFCHR || st.Rdev != 0
		}
	}
	return false
}
