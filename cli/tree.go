package cli

import (
	"archive/tar"
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"strings"

	"golang.org/x/sys/unix"

	"containers/rl/container"
	"containers/rl/image"
	"containers/rl/userns"
)

// roleTree is the second self that reads or writes a container's files, as
// root of the container's user namespace. It is not in the container: nothing
// of ours can be seen from there.
const roleTree = "rl-tree"

// treeRequest is its only argument.
type treeRequest struct {
	Tree  container.Tree
	Op    string // pack, unpack, diff or size
	Path  string
	Place placement
}

// placement says where what is unpacked goes.
type placement struct {
	Base     string // name of the source's last part
	Contents bool   // what is in the source, not itself
	Raw      bool   // an archive of the user's own, into a directory
	Owner    bool   // keep owners
	Follow   bool   // of pack: the source's last part may be a link to what is meant
	NoMounts bool   // of pack: what is mounted is empty
}

// treeInside is the second self.
func treeInside(s Streams, args []string) error {
	var r treeRequest
	if len(args) != 1 {
		return errors.New(roleTree + " is for rl itself")
	}
	if err := json.Unmarshal([]byte(args[0]), &r); err != nil {
		return fmt.Errorf("reading the request: %w", err)
	}
	switch r.Op {
	case "diff":
		return diffInside(s.Out, r.Tree)
	case "size":
		return sizeOfChanges(s.Out, r.Tree)
	}
	root, err := r.Tree.Open()
	if err != nil {
		return err
	}
	defer unix.Close(root)
	if !r.Place.NoMounts {
		if err := r.Tree.Bind(root, r.Path, r.Op == "unpack"); err != nil {
			return err
		}
	}
	if r.Op == "pack" {
		return packTree(s.Out, root, r.Path, r.Place)
	}
	return unpackTree(s.In, root, r.Path, r.Place, false)
}

// startTree starts the second self, with one of its streams ours.
func startTree(e *container.Enter, r treeRequest, stdin, stdout *os.File) (*userns.Process, error) {
	r.Tree = e.Tree
	text, err := json.Marshal(r)
	if err != nil {
		return nil, err
	}
	return e.Start(roleTree, []string{string(text)}, [3]int{int(stdin.Fd()), int(stdout.Fd()), 2})
}

// packTree writes an archive of what path is below root. A byte before it says
// whether that is a directory, unless the archive is for the user himself.
func packTree(w io.Writer, root int, name string, p placement) error {
	clean := path.Clean("/" + name)
	flags := uint64(unix.O_PATH | unix.O_NOFOLLOW)
	if p.Follow || strings.HasSuffix(name, "/") || p.Contents {
		flags = unix.O_PATH
	}
	fd, err := container.OpenIn(root, clean, flags)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	directory := st.Mode&unix.S_IFMT == unix.S_IFDIR
	if !directory && (strings.HasSuffix(name, "/") || p.Contents) {
		return fmt.Errorf("%s: %w", name, unix.ENOTDIR)
	}
	out := bufio.NewWriterSize(w, 256<<10)
	if !p.Raw {
		kind := byte('f')
		if directory {
			kind = 'd'
		}
		_ = out.WriteByte(kind)
	}
	archive := tar.NewWriter(out)
	opts := image.PackOptions{Name: p.Base, RootOwned: !p.Owner, NoMounts: p.NoMounts}
	if directory {
		err = image.Pack(archive, fd, ".", opts)
	} else {
		err = packFile(archive, root, clean, p.Follow, opts)
	}
	return errors.Join(err, archive.Close(), out.Flush())
}

// packFile: a file is opened by its name in its directory, which is resolved
// with all links when they are to be followed.
func packFile(archive *tar.Writer, root int, name string, follow bool, opts image.PackOptions) error {
	for range 40 {
		dir, err := container.OpenIn(root, path.Dir(name), unix.O_PATH|unix.O_DIRECTORY)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		target := make([]byte, unix.PathMax)
		n, err := unix.Readlinkat(dir, path.Base(name), target)
		if err != nil || !follow {
			err = image.Pack(archive, dir, path.Base(name), opts)
			unix.Close(dir)
			return err
		}
		unix.Close(dir)
		if to := string(target[:n]); path.IsAbs(to) {
			name = path.Clean(to)
		} else {
			name = path.Clean(path.Dir(name) + "/" + to)
		}
	}
	return fmt.Errorf("%s: %w", name, unix.ELOOP)
}

// unpackTree is the other side. single: our own id is all there is.
func unpackTree(r io.Reader, root int, name string, p placement, single bool) error {
	in := bufio.NewReaderSize(r, 256<<10)
	directory := true
	if !p.Raw {
		kind, err := in.ReadByte()
		if errors.Is(err, io.EOF) {
			return container.Exit{Code: 1} // the other side has said why
		}
		if err != nil {
			return err
		}
		directory = kind == 'd'
	}
	dir, base, err := destination(root, name, directory, p)
	if err != nil {
		return err
	}
	defer unix.Close(dir)
	opts := image.UnpackOptions{SingleID: single, Plain: true, Name: func(entry string) (string, bool) { return entry, entry != "" }}
	if !p.Raw {
		opts.Name = func(entry string) (string, bool) { return rebase(entry, p.Base, base) }
	}
	_, _, err = image.Unpack(context.Background(), dir, in, opts)
	return err
}

// rebase gives the root of an archive another name; "." for none: then it
// stays as it is, and only what is below it comes.
func rebase(entry, from, to string) (string, bool) {
	rest := entry
	if from != "." {
		if rest = strings.TrimPrefix(strings.TrimPrefix(entry, from), "/"); rest != "" && !strings.HasPrefix(entry, from+"/") {
			return "", false // not of ours
		}
	}
	if to == "." {
		return rest, rest != ""
	}
	return path.Join(to, rest), true
}

// destination finds the directory that the root of an archive comes into, and
// its name there: docker-cp(1), rules.
func destination(root int, name string, directory bool, p placement) (dir int, base string, err error) {
	clean := path.Clean("/" + name)
	fd, err := container.OpenIn(root, clean, unix.O_PATH)
	if err == nil {
		var st unix.Stat_t
		if err = unix.Fstat(fd, &st); err == nil && st.Mode&unix.S_IFMT == unix.S_IFDIR {
			if p.Raw || p.Contents {
				return fd, ".", nil
			}
			return fd, p.Base, nil
		}
		unix.Close(fd)
		if err == nil && (p.Raw || directory || strings.HasSuffix(name, "/")) {
			return -1, "", fmt.Errorf("%s: %w", name, unix.ENOTDIR)
		}
	} else if p.Raw || !errors.Is(err, unix.ENOENT) || !directory && strings.HasSuffix(name, "/") {
		return -1, "", fmt.Errorf("%s: %w", name, err)
	}
	dir, err = container.OpenIn(root, path.Dir(clean), unix.O_PATH|unix.O_DIRECTORY)
	if err != nil {
		return -1, "", fmt.Errorf("%s: %w", path.Dir(name), err)
	}
	return dir, path.Base(clean), nil
}
