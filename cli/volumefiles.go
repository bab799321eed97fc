package cli

import (
	"archive/tar"
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"containers/rl/cli/flags"
	"containers/rl/cli/start"
	"containers/rl/container"
	"containers/rl/image"
	"containers/rl/storage"
	"containers/rl/userns"
)

// roleVolume is the second self that reads and writes a volume's files.
const roleVolume = "rl-volume"

// volumeRequest is its only argument.
type volumeRequest struct {
	Op       string // pack, unpack or chown
	Data     string
	SingleID bool
	UID, GID int
	// Of unpack, to be named.
	Volume, Archive string
}

// volumeInside is the second self. All is done below the volume by descriptors:
// containers may be writing there.
func volumeInside(s Streams, args []string) error {
	var r volumeRequest
	if len(args) != 1 {
		return errors.New(roleVolume + " is for rl itself")
	}
	if err := json.Unmarshal([]byte(args[0]), &r); err != nil {
		return fmt.Errorf("reading the request: %w", err)
	}
	data, err := unix.Open(r.Data, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return &os.PathError{Op: "open", Path: r.Data, Err: err}
	}
	defer unix.Close(data)
	switch r.Op {
	case "pack":
		out := bufio.NewWriterSize(s.Out, 256<<10)
		archive := tar.NewWriter(out)
		return errors.Join(image.Pack(archive, data, ".", image.PackOptions{Name: "."}), archive.Close(), out.Flush())
	case "unpack":
		if err := unpackVolume(s, data, r); err != nil {
			return fmt.Errorf("importing %s into volume %s: %w", r.Archive, r.Volume, err)
		}
		return nil
	}
	if err := unix.Fchown(data, r.UID, r.GID); err != nil {
		return fmt.Errorf("giving %s to %d:%d: %w", r.Data, r.UID, r.GID, err)
	}
	return nil
}

// unpackVolume merges an archive, which has the last word (podman-volume-import(1)).
func unpackVolume(s Streams, data int, r volumeRequest) error {
	plain, err := image.Decompressed(s.In)
	if err != nil {
		return err
	}
	defer plain.Close()
	var devices []string
	o := image.UnpackOptions{SingleID: r.SingleID, Plain: true, Replace: true, Device: func(name string) { devices = append(devices, name) }}
	_, _, err = image.Unpack(context.Background(), data, plain, o)
	if len(devices) > 0 {
		fmt.Fprintf(s.Err, "rl: warning: volume %s: no device can be made without root: left out %s\n", r.Volume, strings.Join(devices, " "))
	}
	return err
}

// inVolume runs it to its end.
func inVolume(host container.Host, r volumeRequest, stdin, stdout *os.File) error {
	r.SingleID = host.IDs.Single()
	text, err := json.Marshal(r)
	if err != nil {
		return err
	}
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer null.Close()
	stdio := [3]int{int(null.Fd()), int(null.Fd()), 2}
	if stdin != nil {
		stdio[0] = int(stdin.Fd())
	}
	if stdout != nil {
		stdio[1] = int(stdout.Fd())
	}
	process, err := userns.CommandWith(host.IDs, roleVolume, []string{string(text)}, stdio)
	if err != nil {
		return err
	}
	return secondSelf(process)
}

// holdVolume opens a volume by its name or its beginning.
func holdVolume(ref string) (container.Host, *storage.Volume, error) {
	host, err := start.OpenHost()
	if err != nil {
		return host, nil, err
	}
	v, err := host.Dirs.FindVolume(ref)
	if err == nil {
		v, err = host.Dirs.HoldVolume(v.Name)
	}
	if errors.Is(err, storage.ErrNoVolume) {
		err = fmt.Errorf("%w %s", storage.ErrNoVolume, ref)
	}
	return host, v, err
}

func volumeExportFlags(f *flags.Set) func(Streams, []string) error {
	output := f.StringP("output", "o", "", "write to a file instead of standard output")
	return func(s Streams, args []string) error {
		if len(args) != 1 {
			return usageError{Text: fmt.Sprintf("accepts 1 arg(s), received %d", len(args)), Command: "volume export"}
		}
		host, v, err := holdVolume(args[0])
		if err != nil {
			return err
		}
		defer v.Close()
		if err := mountable(v); err != nil {
			return fmt.Errorf("exporting volume %s: %w", v.Name, err)
		}
		request := volumeRequest{Op: "pack", Data: v.Data()}
		if *output == "" {
			return inVolume(host, request, nil, s.Out)
		}
		file, keep, err := openOutput(*output)
		if err != nil {
			return fmt.Errorf("exporting volume %s: %w", v.Name, err)
		}
		defer drop(file)
		if err := inVolume(host, request, nil, file); err != nil {
			return err
		}
		return keep()
	}
}

// mountable: what options of the driver mount is seen in containers alone.
func mountable(v *storage.Volume) error {
	if v.Option("type") != "" || v.Option("device") != "" {
		return errors.New("it is mounted in containers alone: rl cp copies from there")
	}
	return nil
}

func volumeImportFlags(*flags.Set) func(Streams, []string) error {
	return func(s Streams, args []string) error {
		if len(args) != 1 && len(args) != 2 {
			return usageError{Text: "volume import needs a volume, and an archive or - for standard input", Command: "volume import"}
		}
		host, v, err := holdVolume(args[0])
		if err != nil {
			return err
		}
		defer v.Close()
		if err := mountable(v); err != nil {
			return fmt.Errorf("importing into volume %s: %w", v.Name, err)
		}
		in, archive := s.In, "standard input"
		if len(args) == 2 && args[1] != "-" {
			archive = args[1]
			if in, err = os.Open(args[1]); err != nil {
				return fmt.Errorf("importing into volume %s: %w", v.Name, err)
			}
			defer in.Close()
		}
		filling, err := v.Filling() // nobody copies an image's content meanwhile
		if err != nil {
			return err
		}
		err = inVolume(host, volumeRequest{Op: "unpack", Data: v.Data(), Volume: v.Name, Archive: archive}, in, nil)
		switch {
		case filling == nil:
		case err != nil:
			filling.Close()
		default:
			err = filling.Done(false)
		}
		return err
	}
}

// openOutput: a file of this name appears when it is whole. A pipe or a device
// is written to as it is. drop is for the end, kept or not.
func openOutput(name string) (file *os.File, keep func() error, err error) {
	if info, err := os.Stat(name); err == nil && !info.Mode().IsRegular() {
		if file, err = os.OpenFile(name, os.O_WRONLY, 0); err != nil {
			return nil, nil, err
		}
		return file, file.Close, nil
	}
	file, target, err := image.Beside(name, temporary)
	if err != nil {
		return nil, nil, err
	}
	return file, func() error {
		return errors.Join(file.Chmod(0o644), file.Close(), os.Rename(file.Name(), target))
	}, nil
}

const temporary = ".rl-export-"

func drop(file *os.File) {
	file.Close()
	if strings.HasPrefix(filepath.Base(file.Name()), temporary) {
		_ = os.Remove(file.Name())
	}
}
